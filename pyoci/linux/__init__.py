"""Facts of Linux that more than one room needs: the words, numbers and files of the kernel, each in one place."""
