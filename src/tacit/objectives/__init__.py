"""Objectives by family: tensors in, one scalar out. They know no modality and no trainer."""
