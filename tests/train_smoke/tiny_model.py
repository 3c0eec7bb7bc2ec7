"""A latent-diffusion model so small that a CPU trains it in seconds; built, never downloaded."""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from instant_clip_tokenizer import Tokenizer
from peft import LoraConfig
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from tests.train_smoke.kohya_set import LATENT, Example

_START, _END, _CONTEXT = 49406, 49407, 77  # CLIP's
_ADAPTED = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_in", "conv_out"]


class TinyModel:
    """U-Net with a LoRA, text encoder and noise schedule; all weights drawn from `seed`.

    Latents are the image itself, area-averaged by 8: what a VAE would add is not in question.
    """

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.unet = UNet2DConditionModel(
            in_channels=3,
            out_channels=3,
            layers_per_block=1,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=8,
            norm_num_groups=8,
        ).requires_grad_(False)
        text = CLIPTextConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
        )
        self.text = CLIPTextModel(text).requires_grad_(False).eval()
        self.schedule = DDPMScheduler()
        self.unet.add_adapter(LoraConfig(r=8, lora_alpha=16, target_modules=_ADAPTED))
        self._tokenizer = Tokenizer()

    def lora(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that may change, by name."""
        return {n: p for n, p in self.unet.named_parameters() if p.requires_grad}

    def frozen(self) -> dict[str, torch.nn.Parameter]:
        """Those that may not: the U-Net's own and the text encoder's."""
        unet = {n: p for n, p in self.unet.named_parameters() if not p.requires_grad}
        return unet | {f"text.{n}": p for n, p in self.text.named_parameters()}

    def encode(self, caption: str) -> torch.Tensor:
        """The caption's hidden states, (1, 77, 32), cut to CLIP's context."""
        ids = [_START, *self._tokenizer.encode(caption)[: _CONTEXT - 2]]
        ids += [_END] * (_CONTEXT - len(ids))
        return self.text(torch.tensor([ids])).last_hidden_state

    def predict(self, example: Example, noise: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """The noise that the U-Net sees in the noised latents, (1, 3, H/8, W/8)."""
        noised = self.schedule.add_noise(latents(example), noise, time)
        return self.unet(noised, time, encoder_hidden_states=self.encode(example.caption)).sample


def latents(example: Example) -> torch.Tensor:
    """(1, 3, H/8, W/8) in -1..1."""
    return functional.avg_pool2d(example.image[None], LATENT)


def latent_mask(example: Example) -> torch.Tensor:
    """The mask's share of each latent, (1, 1, H/8, W/8) in 0..1; area, as sd-scripts takes it."""
    size = (example.mask.shape[1] // LATENT, example.mask.shape[2] // LATENT)
    return functional.interpolate(example.mask[None], size=size, mode="area")


def masked_loss(prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Squared error, weighed by the mask before the mean, as with sd-scripts' --masked_loss."""
    return (functional.mse_loss(prediction, target, reduction="none") * mask).mean()
