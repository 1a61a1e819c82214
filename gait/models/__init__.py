"""Gait models, one file a model, readable beside its paper.

A model file offers ``build(architecture, width, classes)``; the file's name is the model's name in params.yaml.
PyTorch models follow :mod:`gait.models.torch_model`, Keras models :mod:`gait.models.keras_model`.
"""
