"""The steps of training the bundled model: texts -> teacher -> student -> evaluation."""
