"""Kernels of our own, where PyTorch has none: one operator each, its plain form beside it.

paged_decode   the operator, its plain form, and the page table that both read
paged_triton   its kernel for CUDA, imported where it runs
paged_metal    its kernel for MPS, compiled where it runs
"""
