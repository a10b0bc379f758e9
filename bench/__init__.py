"""bench: how quick and how small pyoci is, beside runc, crun and a program that is no runtime at all. `make bench`."""
