//! The hub's door and its clients, over real sockets: who gets in, what the others are told, and what is bounded.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod entry;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod session;
