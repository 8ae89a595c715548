"""A cloud inside a process, for simulations: EC2, target groups and alarms that cost no time."""
