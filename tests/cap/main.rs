//! CAP 1.2 in and out, from outside: bad documents, real documents, generated and mutated ones.
//!
//! `RESGUARDO_CAP_DIR` names a folder with the standard's schema (`CAP-v1.2.xsd`) and real documents. Without it, or
//! without `xmllint`, the tests that need them say what they left out and pass.

#[cfg(test)]
mod generated;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod real;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tree;
