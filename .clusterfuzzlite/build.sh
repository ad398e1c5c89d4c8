#!/bin/bash -eu
# Builds every fuzz target into $OUT, with its seeds and its dictionary. ClusterFuzzLite and OSS-Fuzz call it with the variables that they set;
# `.clusterfuzzlite/check` does the same here.
cd "$SRC/tcp-conformance"

# Without -O: debug assertions and overflow checks stay on, as in `cargo fuzz run`.
cargo fuzz build

put() {
    local name="$1" program="$2" dictionary="$3"
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$program" "$OUT/$name"
    if [ -n "$dictionary" ]; then cp "fuzz/dictionaries/$dictionary.dict" "$OUT/$name.dict"; fi
}

# Files, by their paths below a folder, for a target; none that libFuzzer has left there, whose name is a hash.
seed() {
    local name="$1" folder="$2" files="$3"
    (cd "$folder" && find . -type f -regextype posix-extended -regex "$files" ! -regex '.*/[0-9a-f]{40}' | LC_ALL=C sort |
        zip -qX "$OUT/${name}_seed_corpus.zip" -@)
}

rm -f "$OUT"/*_seed_corpus.zip
# Its name chooses the stack: smoltcp, and the reference stack, which must give no finding.
put segments segments segments
put segments_reference segments segments
put differential differential segments
put codec codec ''
put language language language
for name in segments segments_reference differential; do seed "$name" fuzz/corpus/segments '.*'; done
seed codec fuzz/corpus/codec '.*'
seed language fuzz/corpus/language '.*'
seed language vectors '.*[.]pkt([.]tmpl)?'
