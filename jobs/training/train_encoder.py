"""Train the embedded encoder: VGG-19's sixteen convolutions, learned layer by layer without labels.

    python -m jobs.training.train_encoder nst_kernel/embedded/vgg19_kmeans.safetensors

No backward pass and no download: pictures that the project draws and photographs that installed packages ship are
cut into crops; each convolution is learned from the activations of those before it (`jobs.training.kmeans`). The same
pictures, settings, thread count and machine give the same file. An interrupted run goes on at its layer.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as nnf
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from jobs.pictures import CONTENTS, STYLES, draw, photographs
from jobs.training.kmeans import Recipe, convolve, learn_convolution
from nst_kernel.encoder import IMAGENET_DEVIATION, IMAGENET_MEAN
from nst_kernel.layers import LAYERS, shape_of

VERSION = "1"
BATCH = 16
"""Crops that pass through a convolution at once."""

Picture = NDArray[np.uint8]
State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that, with the pictures, determine the trained file; the defaults produced the shipped file.

    Attributes:
        crops: square crops in all; a quarter of them is also seen disturbed.
        size: their side, pixels.
        patches: patches that k-means sees of each layer.
        iterations: of k-means.
        depth: how many convolutions to learn, from `conv1_1` on.
        seed: of every choice made by chance.
    """

    crops: int = 416
    size: int = 128
    patches: int = 60_000
    iterations: int = 15
    depth: int = len(LAYERS)
    seed: int = 0


def recipe(layer: str, settings: Settings) -> Recipe:
    """Return the settings with which a layer is learned.

    Their strengths were chosen by measuring, band by band, what noise of each spatial frequency and colour changes in
    the activations, and by looking at transfers. Noise counts most in the layers close to the pixels. Light must count
    little in blocks 1 and 2, which represent tone and colour, and much from conv2_2 on, where it would hide form.
    """
    epsilon, noise, light, rank = {
        "conv1_1": (0.03, 10.0, 1.0, 27),
        "conv1_2": (0.03, 3.0, 0.3, 320),
        "conv2_1": (0.02, 3.0, 0.5, 320),
        "conv2_2": (0.01, 2.0, 10.0, 320),
        "conv3_1": (0.005, 2.0, 10.0, 512),
    }.get(layer, (0.01, 1.0, 3.0, 512))
    return Recipe(
        epsilon=epsilon,
        disturbances={"noise": noise, "light": light},
        rank=rank,
        patches=settings.patches,
        iterations=settings.iterations,
    )


def pictures(folder: Path | None = None) -> tuple[list[Picture], list[Picture]]:
    """Return what there is to learn from, uint8 (H, W, 3): photographs (and the folder's pictures), and drawn ones.

    Raises:
        FileNotFoundError: the folder holds no JPEG or PNG picture.
    """
    real = list(photographs().values())
    if folder is not None:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        if not files:
            raise FileNotFoundError(f"no .jpg, .jpeg or .png file under {folder}")
        for path in files:
            with Image.open(path) as image:
                real.append(np.array(image.convert("RGB")))
    return real, [draw(name, 512, seed) for seed in (1, 2) for name in (*STYLES, *CONTENTS)]


def cut(real: Sequence[Picture], drawn: Sequence[Picture], settings: Settings) -> Tensor:
    """Return random crops (n, 3, S, S), normalised as the network wants them: two of photographs to one of drawings.

    A crop spans from S pixels to the whole short side of its picture, so that forms come in many scales.
    """
    rng = np.random.default_rng([settings.seed, 0])
    crops = []
    for i in range(settings.crops):
        source = drawn if i % 3 == 2 and drawn else real
        picture = source[int(rng.integers(len(source)))]
        H, W, _ = picture.shape
        least = min(H, W, settings.size)
        side = round(least * (min(H, W) / least) ** rng.random())
        y, x = rng.integers(H - side + 1), rng.integers(W - side + 1)
        crop = Image.fromarray(picture[y : y + side, x : x + side]).resize(
            (settings.size, settings.size), Image.Resampling.LANCZOS
        )
        crops.append(np.asarray(crop)[:, :: rng.choice([-1, 1])])
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous().float() / 255
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (pixels - mean) / deviation


def add_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return crops (B, 3, H, W) plus pixel-scale noise with a standard deviation of 0.25."""
    noise = torch.randn(x.shape, generator=generator)
    kernel = torch.tensor([1.0, 2.0, 1.0])
    blur = (kernel[:, None] * kernel / 16).expand(3, 1, 3, 3)
    noise -= nnf.conv2d(nnf.pad(noise, (1, 1, 1, 1), mode="replicate"), blur, groups=3)
    return x + 0.25 * noise / noise.std()


def change_light(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return crops (B, 3, H, W) under a smooth change of light of a quarter of a deviation, slightly tinted."""
    B, _, H, W = x.shape
    light = torch.randn(B, 1, 3, 3, generator=generator) + 0.4 * torch.randn(B, 3, 3, 3, generator=generator)
    light = nnf.interpolate(light, size=(H, W), mode="bicubic", align_corners=True)
    return x + 0.25 * light / light.std()


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a weight (N, C, 3, 3) as int8 of that shape and a scale (N,) per filter: weight ≈ int8 · scale."""
    scale = weight.flatten(1).abs().amax(1).clamp_min(1e-12) / 127
    return (weight / scale.view(-1, 1, 1, 1)).round().to(torch.int8), scale


def learn(crops: Tensor, settings: Settings, known: State) -> Iterator[tuple[str, State]]:
    """Yield layer by layer its name and its state (`.weight` int8, `.scale`, `.bias`), taken from `known` if there.

    Later layers learn from what the quantised ones pass on.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    part = crops[: max(1, settings.crops // 4 // BATCH) * BATCH]
    inputs = {"pictures": crops, "noise": add_noise(part, generator), "light": change_light(part, generator)}
    streams = {name: list(torch.split(x, BATCH)) for name, x in inputs.items()}
    for index, layer in enumerate(LAYERS[: settings.depth]):
        if index and layer.endswith("_1"):
            _replace(streams, lambda x: nnf.avg_pool2d(x, 2))
        state = {key: known[key] for key in known if key.startswith(layer)}
        if not state:
            weight, bias = learn_convolution(
                streams["pictures"],
                shape_of(layer)[0],
                recipe(layer, settings),
                disturbed=streams,
                # One per layer, so that a resumed run draws the same.
                generator=torch.Generator().manual_seed(1000 * settings.seed + index + 1),
            )
            quantised, scale = quantise(weight)
            state = {f"{layer}.weight": quantised, f"{layer}.scale": scale, f"{layer}.bias": bias}
        yield layer, state
        weight = state[f"{layer}.weight"].float() * state[f"{layer}.scale"].view(-1, 1, 1, 1)
        _replace(streams, partial(convolve, weight=weight, bias=state[f"{layer}.bias"]))


def _replace(streams: dict[str, list[Tensor]], function: Callable[[Tensor], Tensor]) -> None:
    """Apply a function to each chunk in place, so that memory never holds a layer's whole input and output."""
    for chunks in streams.values():
        for i, x in enumerate(chunks):
            chunks[i] = function(x)


def write(path: Path, state: State, about: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all; the same content always gives the same bytes."""
    data = safetensors.torch.save(state)
    length = int.from_bytes(data[:8], "little")
    # The library writes what a file says of itself in no fixed order; so it goes into the header here.
    header = json.dumps({"__metadata__": about, **json.loads(data[8 : 8 + length])}).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    unfinished.replace(path)


def resume(path: Path, fingerprint: str) -> State:
    """Return the layers that an interrupted run with this fingerprint left at `path`; none if there was no such run."""
    if not path.exists():
        return {}
    with safetensors.safe_open(path, framework="pt") as file:
        same = (file.metadata() or {}).get("fingerprint") == fingerprint
    return safetensors.torch.load_file(path) if same else {}


def train(
    output: Path,
    settings: Settings,
    folder: Path | None = None,
    on_layer: Callable[[str], None] = lambda layer: None,
) -> Path:
    """Train and write the encoder to `output`; layers that are done wait in a file next to it until all are.

    Args:
        output: the safetensors file to write.
        settings: what decides it.
        folder: more photographs or paintings to learn from (.jpg, .png).
        on_layer: called with the name of each layer when it is done.

    Raises:
        ImportError: the `photos` extra is not installed.
        FileNotFoundError: no pictures in the folder.
    """
    crops = cut(*pictures(folder), settings)
    plan = {**asdict(settings), "recipes": [asdict(recipe(layer, settings)) for layer in LAYERS]}
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode() + crops.numpy().tobytes())
    # Crops go on beyond their borders, so training replicates them; with a whole picture that left coloured speckles
    # at its edges, and zero padding does not.
    about = {"fingerprint": digest.hexdigest(), "input": "rgb", "border": "zero", "version": VERSION}
    progress = output.with_name(output.name + ".partial")
    known = resume(progress, about["fingerprint"])
    state: State = {}
    for layer, learned in learn(crops, settings, known):
        state |= learned
        write(progress, state, about)
        on_layer(layer)
    source = "photographs of scikit-image and scikit-learn, pictures drawn by jobs.pictures"
    write(
        output,
        state,
        {
            "name": "vgg19_kmeans",
            "training": f"spherical k-means, layer by layer, no labels; {settings.crops} crops of {source}"
            + (", and a folder" if folder else ""),
            "settings": json.dumps(asdict(settings)),
            "licence": "MIT",
            **about,
        },
    )
    progress.unlink()
    return output


def main(
    output: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    pictures: Annotated[Path | None, typer.Option(help="A folder of more pictures to learn from.")] = None,
    crops: Annotated[int, typer.Option(min=1, help="Training crops.")] = Settings.crops,
    size: Annotated[int, typer.Option(min=32, help="Their side in pixels.")] = Settings.size,
    patches: Annotated[int, typer.Option(min=2048, help="Patches per layer.")] = Settings.patches,
    iterations: Annotated[int, typer.Option(min=1, help="Iterations of k-means.")] = Settings.iterations,
    depth: Annotated[int, typer.Option(min=1, max=16, help="Convolutions to learn.")] = Settings.depth,
    seed: Annotated[int, typer.Option(min=0)] = Settings.seed,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; another number, another file.")] = 2,
) -> None:
    """Train the embedded encoder, and go on where an interrupted run stopped."""
    torch.set_num_threads(threads)
    settings = Settings(crops=crops, size=size, patches=patches, iterations=iterations, depth=depth, seed=seed)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as bar:
        task = bar.add_task("pictures", total=depth)

        def advance(layer: str) -> None:
            bar.update(task, advance=1, description=f"{layer} done")

        train(output, settings, pictures, advance)
    typer.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {hashlib.sha256(output.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    typer.run(main)
