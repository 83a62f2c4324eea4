#!/bin/sh
# Tells its version, and nothing else: nothing else is asked of it.
[ "$*" = --version ] || exit 1
echo "NVIDIA Container Toolkit CLI version 1.18.0"
