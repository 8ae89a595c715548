"""Owns publishing: a pressed disk becomes an AMI in a region, once, whatever interrupts it."""
