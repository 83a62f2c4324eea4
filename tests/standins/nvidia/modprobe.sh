#!/bin/sh -eu
# `modprobe` for one module, `nvidia`, which is loaded when the kernel's version file is there.
# /run/standin/in-use: somebody computes.
version=/proc/driver/nvidia/version
gpu=/sys/bus/pci/devices/0000:41:00.0
case $* in
    nvidia)
        [ ! -e "$version" ] || exit 0
        if [ ! -e /usr/lib/standin/module ]; then
            echo "modprobe: FATAL: Module nvidia not found in directory /lib/modules/$(uname -r)" >&2
            exit 1
        fi
        if [ -e "$gpu/driver" ]; then
            echo "modprobe: ERROR: could not insert 'nvidia': No such device" >&2
            exit 1
        fi
        mkdir -p "${version%/*}"
        echo "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  $(cat /usr/lib/standin/module)  Release Build  (stand-in)" >"$version"
        ln -s /sys/bus/pci/drivers/nvidia "$gpu/driver"
        ;;
    nvidia_uvm) [ -e "$version" ] ;;
    "-q -r nvidia_uvm nvidia_drm nvidia_modeset nvidia")
        [ ! -e /run/standin/in-use ] || exit 1
        rm -rf "${version%/*}" "$gpu/driver"
        ;;
    *)
        echo "modprobe: this was not foreseen: $*" >&2
        exit 1
        ;;
esac
