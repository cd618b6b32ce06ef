"""The emulated processors, and what each reports about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cpu:
    """An ARM processor.

    Attributes:
        name: a machine that has it.
        model: its name in qemu.
        part: its number in /proc/cpuinfo, by which onnxruntime chooses kernels.
        features: its features there, as the kernel of that machine lists them.
    """

    name: str
    model: str
    part: str
    features: str

    @property
    def has_dot_product(self) -> bool:
        """Whether it has the 8-bit dot product instructions SDOT and UDOT."""
        return "asimddp" in self.features.split()

    def cpuinfo(self, cores: int) -> str:
        """Return the text of /proc/cpuinfo."""
        return "".join(
            f"processor\t: {core}\n"
            f"Features\t: {self.features}\n"
            "CPU implementer\t: 0x41\n"
            "CPU architecture: 8\n"
            "CPU variant\t: 0x0\n"
            f"CPU part\t: {self.part}\n"
            "CPU revision\t: 3\n\n"
            for core in range(cores)
        )


CPUS = (
    Cpu("Raspberry Pi 4 (Cortex-A72)", "cortex-a72", "0xd08", "fp asimd evtstrm crc32 cpuid"),
    Cpu(
        "Graviton 2 (Neoverse N1)",
        "neoverse-n1",
        "0xd0c",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
)
