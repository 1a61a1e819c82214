"""Gait models, one file a model, readable beside its paper.

A model's file offers ``build(architecture, width, classes)``; the file's name is the model's name in params.yaml.
PyTorch models follow :mod:`gait.networks.torch_model`, Keras models :mod:`gait.networks.keras_model`.
"""
