"""Owns the root filesystem: packages from the lock, overlay files, SELinux policy and labels."""
