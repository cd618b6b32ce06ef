"""models/training/student.py. Needs PyTorch, which the environment of `make test-consumers` has."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed; make test-consumers")

from training.student import Recipe, Rows, prepare, train


def test_the_student_learns_what_the_teacher_says() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(40, 12)).astype(np.float32)
    token_ids = [random.integers(0, 40, size=5).tolist() for _ in range(400)]
    teacher = np.stack([truth[each].mean(axis=0) for each in token_ids])
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    pairs = random.integers(0, 400, size=(256, 2))
    # Pairs mean nothing here, so they are not contrasted.
    recipe = Recipe(dims=(8, 4), epochs=200, pairs=64, chunk=16, frequency=1.0, contrast=0.0)
    noise = random.normal(size=truth.shape).astype(np.float32)
    task = prepare(token_ids, pairs, teacher, noise, recipe)

    def cosine(table: Rows) -> float:
        rows = np.stack([table[each].mean(axis=0) for each in token_ids])
        products = (rows * task.targets).sum(axis=1)
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(task.targets, axis=1)
        return float((products / norms).mean())

    trained = train(task, recipe, 0, lambda epoch, table: None)
    assert cosine(task.start) < 0.3
    assert cosine(trained) > 0.9
    np.testing.assert_array_equal(trained, train(task, recipe, 0, lambda epoch, table: None))
