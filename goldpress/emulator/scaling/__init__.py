"""EC2 Auto Scaling's rules: groups, their instances, and instance refresh, on any kind of cloud."""
