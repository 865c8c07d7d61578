# Read by login shells, which start with the PATH of the distribution.
PATH=/opt/nst/bin:$PATH
