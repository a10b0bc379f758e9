"""What this host can do for containers, and lacks: each answer is that of the code which makes them.

check      one answer
trial      containers that are created, and removed before they start
kernel, limits, ids, mounts, helpers, engines: what is asked
"""
