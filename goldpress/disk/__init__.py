"""Owns the bootable disk: initrd, unified kernel image, file systems, partitions."""
