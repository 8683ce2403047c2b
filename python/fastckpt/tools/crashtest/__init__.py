"""What a save leaves behind when its process is killed or the power fails.

Two ways to find out. `kills` saves in a child process that dies by SIGKILL before each change it
makes to files, and at random instants, on a real file system. `cuts` takes the trace of one save
and works out what a device may hold when the power fails at any point of it: what was synced, and
any part of the rest. Both read every outcome back: it has to be the complete old checkpoint or
the complete new one.
"""
