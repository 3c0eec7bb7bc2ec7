"""Does a package train? A tiny latent-diffusion model, a LoRA, masked loss; `make train-smoke`."""
