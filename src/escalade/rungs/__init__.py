"""The `adapt` of each rung, one file each, and the predictors that read what they made."""
