"""Distil handwritten digits to one image a class, and see what that is worth beside random rows and the full data.

Run: python examples/quickstart.py
"""

import attar

problem = attar.data.load("digits")  # 1,797 images of 8 x 8 that come with attar
print(problem.spec.split)

model = "convnet2-16"  # a small network for small images; the field's is convnet3, the default
method = attar.methods.dm(model=model, batch=64)
budget = attar.Budget(per_class=1)
distilled = attar.distill(method, problem, budget, steps=100, seed=0).value
random = attar.distill(attar.methods.random(), problem, budget, seed=0).value

for value in (distilled, random, "full"):
    score = attar.evaluate(value, problem, models=model, protocol=attar.Protocol.quick, runs=2)[0]
    print(f"{score.subject:10} {score.rows:5,} rows {score.bytes:8,} bytes  accuracy {score} %")
print(f"Protocol {score.protocol.name}, {score.model}, {score.runs} runs; the last epoch's accuracy on test data.")
