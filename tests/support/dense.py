"""A dense recipe on the smallest network, trained in a second."""

from dataclasses import replace

from train.recipe import Dense
from train.recipes.seed import RECIPE as SEED

DENSE = Dense(
    steps=12,
    height=64,
    width=64,
    channels=8,
    dropout=0.25,
    learning_rate=1e-3,
    head_learning_rate=1e-2,
    warmup_steps=1,
    weight_decay=0.01,
    clip_norm=1.0,
    ema=0.9,
    keep_every=6,
)
RECIPE = replace(
    SEED,
    name="dense-tiny",
    alpha=0.35,
    batch_size=2,
    input=replace(SEED.input, height=96, width=64, channels=1),
    phases=(),
    dense=DENSE,
)
