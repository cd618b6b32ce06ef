"""Models on the Hugging Face Hub: ids, downloads, push and pull."""
