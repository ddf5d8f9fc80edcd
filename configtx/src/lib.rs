//! Channel configuration: tree, policies, identities and the Bundle.
