"""Made-up rows to try escalade with: messages to a shop, what each is about, and the pattern it was made from.

``python docs/rows.py > rows.csv``; T stands for a thing that the shop sells.
"""

import csv
import random
import sys

ABOUT = {
    "delivery": """
        where is my T / the T has not come yet / when will the T get here / I am still waiting for the T /
        no T on the doorstep so far / the courier lost my T / tracking shows nothing for the T /
        the T was due on Monday / has the T left your depot / the T went to a neighbour /
        how long does shipping a T take / nobody rang about the T / my T is a week late /
        the T is stuck at customs / the parcel with the T vanished / was my T dispatched /
        which day does the T reach me / the T is in transit for ages / can you bring the T in the evening /
        the driver left with my T / send the T to my office instead / the address on the T is wrong /
        the postman says there is no T / is the T on its way / I was at home and no T came /
        the T got lost in the mail / do you ship the T abroad / I need the T before Friday /
        the van never turned up with the T / only half of the order was there, no T""",
    "refund": """
        I want my money back for the T / please pay me back for the T / reimburse me for the T /
        how do I return the T / I changed my mind about the T / you charged me twice for the T / cancel my T /
        the T cost less elsewhere / the sum for the T is not on my card / can I send the T back /
        credit me for the T / I was billed for a T I never bought / take the T off my bill /
        my bank has seen nothing for the T / I no longer need the T, what now / the invoice for the T is wrong /
        undo the payment for the T / I would like to exchange the T / the discount on the T was forgotten /
        why was so much debited for the T / I paid for the T and want the cash again /
        give me a voucher for the T / who pays the postage if I return the T /
        is the T covered by your return policy / I bought the T by mistake /
        the price of the T was lower yesterday / I handed in the T and got no money / stop the order of the T /
        my account was charged for the T / the receipt for the T shows too much""",
    "damage": """
        the T is broken / the T came in pieces / there is a crack in the T / the T stopped working at once /
        my T leaks / the T arrived scratched / a part of the T is missing / the T makes a horrible noise /
        the handle of the T snapped off / the T will not switch on / water got into the T /
        the T is bent out of shape / the paint of the T peels / smoke came out of the T /
        the T fell apart in my hands / the T has a dent / a screw of the T is loose /
        the T is torn at the side / the T smells burnt / the T wobbles and squeaks /
        the glass of the T is shattered / the T died after an hour / the zip of the T jams /
        the T is full of holes / the T keeps overheating / the T was defective from the start /
        one leg of the T is shorter / the T is stained / the battery of the T swells /
        the lid of the T does not close""",
    "praise": """
        I love the T / the T is wonderful / thank you for the lovely T / best T I ever had / I adore this T /
        the T works like a charm / the T is worth every cent / what a beautiful T / so happy with the T /
        five stars for the T / the T made my day / I tell all my friends about the T /
        never seen such a fine T / the T is even nicer than the picture / well done with the T /
        the T exceeds all I hoped for / a superb T / my mother is delighted with her T /
        the T could not be better / great quality, this T / the T is a dream / I would choose the T again /
        the T is simply perfect / full marks for the T / the T is a joy to use / everybody envies my T /
        such a pretty T / the T is the best gift ever / I am thrilled with the T /
        the T looks gorgeous in my room""",
}
THINGS = "kettle lamp chair blender clock backpack radio tent mirror printer scooter teapot camera pillow guitar"

chance = random.Random(0)
patterns = [(" ".join(said.split()), label) for label, text in ABOUT.items() for said in text.split("/")]
rows = [
    (pattern.replace(" T", f" {thing}"), label, pattern)
    for pattern, label in patterns
    for thing in chance.sample(THINGS.split(), 4)
]
chance.shuffle(rows)
csv.writer(sys.stdout, lineterminator="\n").writerows([("text", "about", "pattern"), *rows])
