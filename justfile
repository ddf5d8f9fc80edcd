# `check` never writes to the sources; `fix` does.

# What a change must pass before review.
check: format-check lint doc deny test

# Formats and applies what clippy can apply by itself.
fix:
    cargo clippy --release --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

format-check:
    cargo fmt --all --check

lint:
    cargo clippy --release --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --workspace

deny:
    cargo deny check bans licenses sources

test:
    cargo test --release --workspace

# The vectors alone; another folder of them with ORDAIN_VECTORS.
conformance:
    cargo test --release -p tests --test conformance

# Other people's clients against real nodes; needs Node.js, Python and registries. Words choose scripts.
interop *words:
    tests/interop/run {{words}}

# Linters of packaging; needs PyPI and systemd's tools.
packaging:
    packaging/check

# The main job: a node, a channel, a load, and what came of it.
quickstart *flags:
    cargo run --release --bin orderer -- quickstart {{flags}}
