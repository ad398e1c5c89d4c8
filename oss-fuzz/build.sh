#!/bin/bash -eu
# Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0
# The project's own script, which ClusterFuzzLite uses too.
exec bash -eux "$SRC/tcp-conformance/.clusterfuzzlite/build.sh"
