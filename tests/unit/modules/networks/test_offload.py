"""Networks at rest in main memory compute what they computed before."""

import torch

from tests.trainings import BASE
from webui.modules.device import choose
from webui.modules.networks.checkpoint import load_checkpoint
from webui.modules.networks.offload import remembering, rest
from webui.modules.networks.predict import TextPredictor, decode, posterior

DEVICE = choose("cpu", "exact")


def test_a_network_at_rest_answers_as_before() -> None:
    base = load_checkpoint(BASE, DEVICE)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1
    tokens = torch.randint(0, 49406, (1, 77), generator=generator)

    def answers() -> list[torch.Tensor]:
        with torch.no_grad():
            mean, _ = posterior(base.vae, pixels, DEVICE)
            said = TextPredictor(base, DEVICE)(tokens, 1)
            return [mean, decode(base.vae, mean, DEVICE), said]

    before = answers()
    for network in (base.vae, base.text):
        rest(network, DEVICE)

    assert all(map(torch.equal, answers(), before))
    assert {each.device.type for each in base.vae.parameters()} == {"cpu"}


def test_what_is_remembered_apart_gives_the_same_gradient() -> None:
    found = []
    for apart in (False, True):
        states = torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
        with remembering(apart=apart):
            wrong = torch.nn.functional.silu(states @ states.t()).square().sum()
        wrong.backward()
        found.append(states.grad)

    assert torch.equal(*found)
