"""Every package format by its name."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from ferrari.packaging.base import Format, PackageError, Subject


@functools.cache
def known_formats() -> dict[str, type[Format]]:
    """Every format by its name."""
    from ferrari.packaging import (
        ai_toolkit,
        diffusers_examples,
        diffusion_pipe,
        imagefolder,
        kohya,
        musubi,
        onetrainer,
        parquet_shards,
        simpletuner,
        vlm_conversations,
        webdataset_shards,
    )

    return {
        form.name: form
        for form in (
            *(kohya.Kohya, imagefolder.ImageFolder, musubi.Musubi, onetrainer.OneTrainer),
            *(ai_toolkit.AiToolkit, simpletuner.SimpleTuner, diffusion_pipe.DiffusionPipe),
            *(
                diffusers_examples.DreamBooth,
                diffusers_examples.TextualInversion,
                parquet_shards.Parquet,
                webdataset_shards.WebDataset,
            ),
            *(vlm_conversations.Llava, vlm_conversations.LlamaFactory, vlm_conversations.Trl),
        )
    }


def make_format(name: str, settings: Mapping, subject: Subject) -> Format:
    """The format of that name; PackageError lists those there are."""
    formats = known_formats()
    if name not in formats:
        raise PackageError(f"package.formats: unknown format {name!r}; known: {', '.join(formats)}")
    return formats[name](settings, subject)
