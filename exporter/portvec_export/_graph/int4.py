"""The int4 part of the graph: from row numbers to the sum of the rows. Two values share a byte, see `_int4`.

Bytes are split with DequantizeLinear and Cast, which truncates: in onnxruntime shifts take several times as
long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from portvec_export._table.int4 import BASE, BLOCK, HALF
from portvec_export._table.table import Table


def constants(table: Table) -> dict[str, npt.NDArray[Any]]:
    """Return the small tensors that the nodes below take."""
    blocks = -(-table.dim // BLOCK)
    return {
        "sixteenth": np.array(1 / 16, dtype=np.float32),
        "lowest_byte": np.array(-128, dtype=np.int8),
        "eight_byte": np.array(8, dtype=np.int8),
        "sixteen": np.array(16, dtype=np.int32),
        "every_pair": np.array([0, 2 * blocks * blocks, HALF], dtype=np.int64),
        "own_pairs": np.array(
            [(digit * blocks + block) * blocks + block for digit in range(2) for block in range(blocks)],
            dtype=np.int64,
        ),
        "two_digits": np.array([0, 2, blocks * BLOCK], dtype=np.int64),
        "digit_units": np.array([[[BASE * table.unit], [table.unit]]], dtype=np.float32),
        "float_sixteen": np.array(16, dtype=np.float32),
        "eight": np.array(8, dtype=np.float32),
        "half_blocks": np.array([0, 0, blocks, HALF], dtype=np.int64),
        "flat_rows": np.array([0, 0, blocks * BLOCK], dtype=np.int64),
    }


def integer_sums(rows: str, count: str | None) -> list[onnx.NodeProto]:
    """Rows (batch, length) -> padded (batch, padded dim), exact up to the last addition.

    `count` (batch, 1) is needed where the length may be zero.

    Every block's weights are multiplied with the bytes of all blocks, as one matrix multiplication: that
    takes less time than one for each block. Then each block's own products are picked.
    """
    nodes = [
        helper.make_node("Gather", ["vectors", rows], ["packed"]),
        helper.make_node("DequantizeLinear", ["packed", "sixteenth", "lowest_byte"], ["sixteenths"]),
        helper.make_node("Cast", ["sixteenths"], ["second_codes"], to=TensorProto.INT8),
        helper.make_node("Gather", ["block_weights", rows], ["digits_by_token"]),
        helper.make_node("Transpose", ["digits_by_token"], ["digits"], perm=[0, 2, 1]),
    ]
    for source, name in (("packed", "both"), ("second_codes", "second")):
        nodes += [
            helper.make_node("MatMulInteger", ["digits", source, "", "eight_byte"], [f"{name}_products"]),
            helper.make_node("Reshape", [f"{name}_products", "every_pair"], [f"{name}_pairs"]),
            helper.make_node("Gather", [f"{name}_pairs", "own_pairs"], [f"{name}_sums"], axis=1),
        ]
    nodes += [
        helper.make_node("Mul", ["second_sums", "sixteen"], ["second_part"]),
        helper.make_node("Sub", ["both_sums", "second_part"], ["first_sums"]),
        helper.make_node("Concat", ["first_sums", "second_sums"], ["sums_in_blocks"], axis=2),
        helper.make_node("Reshape", ["sums_in_blocks", "two_digits"], ["integer_sums"]),
        helper.make_node("Cast", ["integer_sums"], ["float_sums"], to=TensorProto.FLOAT),
    ]
    units = "digit_units"
    if count is not None:
        # Over no position at all, onnxruntime's MatMulInteger leaves its output as it found it.
        nodes += [
            helper.make_node("Min", [count, "one"], ["is_any"]),
            helper.make_node("Unsqueeze", ["is_any", "axis_2"], ["is_any_block"]),
            helper.make_node("Mul", ["is_any_block", "digit_units"], ["units_or_zero"]),
        ]
        units = "units_or_zero"
    return [
        *nodes,
        helper.make_node("Mul", ["float_sums", units], ["digit_sums"]),
        helper.make_node("ReduceSum", ["digit_sums", "axis_1"], ["padded"], keepdims=0),
    ]


def unpacked(rows: str) -> list[onnx.NodeProto]:
    """Rows (length, batch) -> unpacked float32 (length, batch, padded dim), in units."""
    return [
        helper.make_node("Gather", ["vectors", rows], ["packed"]),
        helper.make_node("DequantizeLinear", ["packed", "sixteenth", "lowest_byte"], ["sixteenths"]),
        helper.make_node("Floor", ["sixteenths"], ["second_codes"]),
        helper.make_node("Sub", ["sixteenths", "second_codes"], ["first_sixteenths"]),
        helper.make_node("Mul", ["first_sixteenths", "float_sixteen"], ["first_codes"]),
        helper.make_node("Reshape", ["first_codes", "half_blocks"], ["first_halves"]),
        helper.make_node("Reshape", ["second_codes", "half_blocks"], ["second_halves"]),
        helper.make_node("Concat", ["first_halves", "second_halves"], ["codes"], axis=3),
        helper.make_node("Sub", ["codes", "eight"], ["signed"]),
        helper.make_node("Gather", ["scales", rows], ["half_scales"]),
        helper.make_node("Cast", ["half_scales"], ["block_scales"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["block_scales", "axis_3"], ["scale_columns"]),
        helper.make_node("Mul", ["signed", "scale_columns"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "flat_rows"], ["unpacked"]),
    ]
