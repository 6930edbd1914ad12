"""Swap one part of a published method for one of your own, and run both as an ordinary loop.

Run: python examples/swap_a_part.py

`dm` starts from random real rows. Here it starts from the mean of each class instead, with a little noise so that rows
of one class differ; everything else of the method stays.
"""

import dataclasses

import torch

import attar


@dataclasses.dataclass(frozen=True)
class NoisyMeans:
    """The mean row of each class plus Gaussian noise, in normalised units.

    Args:
        noise: its standard deviation.
    """

    noise: float = 0.1

    def __call__(self, problem: attar.Problem, budget: attar.Budget, generator: torch.Generator):
        counts = budget.counts([len(rows) for rows in problem.members.values()], problem.spec.class_names)
        y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        means = torch.stack([problem.train.take(rows).x.mean(0) for rows in problem.members.values()])
        x = means[y]
        return attar.batches.Images(x + self.noise * torch.randn(x.shape, generator=generator), y)


problem = attar.data.load("digits")
budget = attar.Budget(per_class=1)
published = attar.methods.dm(model="convnet2-16", batch=64)
swapped = dataclasses.replace(published, name="dm from means", initial=NoisyMeans())

for method in (published, swapped):
    for step in attar.run(method, problem, budget, seed=0):
        if step.index % 25 == 0:
            print(f"{method.name:14} step {step.index:3}  loss {step.info['loss']:.3f}")
        if step.index == 75 or step.seconds > 60:  # leave whenever enough is enough
            break
    value = method.finish(problem, step.state)
    score = attar.evaluate(value, problem, models="convnet2-16", protocol=attar.Protocol.quick, runs=2)[0]
    print(f"{method.name:14} accuracy {score} % after {step.index} steps")
