"""Training token vectors so that their mean over a text is the teacher's embedding of the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

Rows = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """What training does. Chosen on the development set of STS-B.

    Attributes:
        dims: numbers of first dimensions that must each be good embeddings.
        flatten: principal components of the target are multiplied by their variance to the power of -flatten.
        frequency: a in the first weights of tokens, a / (a + share of the token), those of SIF (Arora et al.,
            2017: A Simple but Tough-to-Beat Baseline for Sentence Embeddings).
        rate: learning rate, which falls to 0 in a straight line.
        epochs: passes over the pairs.
        pairs: pairs in a batch.
        chunk: pairs of a batch that the teacher finds near each other, so that they are hard to tell apart.
        temperature: of the similarities that are compared with the teacher's.
        similarity: weight of that comparison, beside the cosine to the teacher's embedding.
        contrast: weight of finding the second text of a pair by the first, among all of the batch.
        contrast_temperature: of the similarities by which it is found.
    """

    dims: tuple[int, ...] = (256, 128, 64)
    flatten: float = 0.4
    frequency: float = 1e-3
    rate: float = 0.04
    epochs: int = 3
    pairs: int = 512
    chunk: int = 128
    temperature: float = 0.1
    similarity: float = 1.5
    contrast: float = 0.1
    contrast_temperature: float = 0.1


@dataclass(frozen=True)
class Task:
    """What there is to learn.

    Attributes:
        ids: token ids of all texts, one after the other.
        bounds: where each text begins in `ids`, and where the last one ends.
        pairs: (n, 2) indices of texts.
        targets: (texts, dim) the teacher's embeddings in the basis of the student.
        start: (V, dim) token vectors to start from.
    """

    ids: Ids
    bounds: Ids
    pairs: Ids
    targets: Rows
    start: Rows


def prepare(
    token_ids: Sequence[Sequence[int]], pairs: Ids, teacher: Rows, tokens: Rows, recipe: Recipe
) -> Task:
    """Express the teacher's embeddings of texts (n, d) and of tokens (V, d) in the basis of the student.

    The basis has the directions in which the texts differ most, first the most important one.
    """
    dim = max(recipe.dims)
    centered = teacher - teacher.mean(axis=0)
    variance, directions = np.linalg.eigh(centered.T @ centered / len(centered))
    largest = np.argsort(-variance)[:dim]
    variance, directions = variance[largest], directions[:, largest]
    scale = variance**-recipe.flatten
    scale /= np.sqrt((variance * scale**2).mean())  # components are 1 on average
    basis = (directions * scale).astype(np.float32)

    bounds = np.concatenate([[0], np.cumsum([len(each) for each in token_ids])]).astype(np.int64)
    ids = np.fromiter((token_id for each in token_ids for token_id in each), np.int64, bounds[-1])
    share = np.bincount(ids, minlength=len(tokens)) / len(ids)
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    start = (unit - unit[share > 0].mean(axis=0)) @ basis
    start *= (recipe.frequency / (recipe.frequency + share))[:, None]
    return Task(ids, bounds, pairs, centered @ basis, start.astype(np.float32))


def train(task: Task, recipe: Recipe, seed: int, report: Callable[[int, Rows], None]) -> Rows:
    """Return the trained token vectors float32 (V, dim). `report` is called after each epoch."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    table = torch.nn.Parameter(torch.tensor(task.start))
    optimizer = torch.optim.Adam([table], betas=(0.9, 0.99))
    all_ids, targets = torch.from_numpy(task.ids), torch.from_numpy(task.targets)
    steps, step = recipe.epochs * (len(task.pairs) // recipe.pairs), 0
    for epoch in range(recipe.epochs):
        for batch in _batches(task, recipe, random):
            texts = np.concatenate([batch[:, 0], batch[:, 1]])
            starts, ends = task.bounds[texts], task.bounds[texts + 1]
            positions = np.concatenate([np.arange(*each) for each in zip(starts, ends, strict=True)])
            offsets = np.concatenate([[0], np.cumsum(ends - starts)[:-1]])
            means = functional.embedding_bag(
                all_ids[positions], table, torch.from_numpy(offsets), mode="mean"
            )
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * (1 - step / steps)
            optimizer.zero_grad()
            _loss(means, targets[texts], recipe).backward()
            optimizer.step()
            step += 1
        report(epoch + 1, table.detach().numpy())
    trained: Rows = table.detach().numpy()
    return trained


def _batches(task: Task, recipe: Recipe, random: np.random.Generator) -> list[Ids]:
    """Return the pairs in random batches, which are made of chunks whose first texts are near each other."""
    unit = task.targets / np.linalg.norm(task.targets, axis=1, keepdims=True)
    centers = unit[random.choice(len(unit), 64, replace=False)]
    nearest = (unit[task.pairs[:, 0]] @ centers.T).argmax(axis=1)
    order = np.lexsort((random.random(len(task.pairs)), nearest))
    chunks = np.split(order, range(recipe.chunk, len(order), recipe.chunk))
    random.shuffle(chunks)
    pairs = task.pairs[np.concatenate(chunks)]
    count = len(pairs) // recipe.pairs
    return np.split(pairs[: count * recipe.pairs], count)


def _loss(means: torch.Tensor, targets: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return the loss of the means of a batch: the first texts of all pairs, then the second ones."""
    own = torch.eye(len(means), dtype=torch.bool)
    half = len(means) // 2

    def similarities(unit: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of how similar each text is to each other one, relative to all."""
        return functional.log_softmax((unit @ unit.T / recipe.temperature).masked_fill(own, -1e4), dim=1)

    expected = similarities(functional.normalize(targets, dim=1))
    total = torch.zeros(())
    for dim in recipe.dims:
        unit = functional.normalize(means[:, :dim], dim=1)
        total = total + (1 - (unit * functional.normalize(targets[:, :dim], dim=1)).sum(dim=1)).mean()
        total = total + recipe.similarity * functional.kl_div(
            similarities(unit), expected, log_target=True, reduction="batchmean"
        )
        found = unit[:half] @ unit[half:].T / recipe.contrast_temperature
        total = total + recipe.contrast * functional.cross_entropy(found, torch.arange(half))
    return total
