//! Conformance vectors, fixtures, process tests, simulation and benches.
