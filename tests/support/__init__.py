"""What tests of several rooms share: agents as processes, programs, ports, servers."""
