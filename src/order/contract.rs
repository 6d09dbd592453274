//! The suite that every order passes.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::{Order, Tail, TailError};
use crate::model::entry::{Batch, BatchName, EntryKind, Proposal};
use crate::model::id::{Position, UnixMicros};

/// Holds every sentence of the contract against an order that `make` begins at a position.
pub(super) fn keeps_the_contract<O: Order + 'static>(make: impl Fn(Position) -> O) {
    run(positions_have_no_gaps(make(Position(0))));
    run(positions_go_on_after_a_restart(make(Position(41))));
    run(same_name_gets_the_same_position(make(Position(7))));
    run(names_of_two_hubs_are_apart(make(Position(0))));
    run(every_tail_gives_the_same_order_from_any_position(make(Position(3))));
    run(waiting_tail_gets_what_comes(make(Position(0))));
    waiting_tail_misses_nothing_of_another_thread(&make(Position(0)));
    run(dropped_wait_loses_nothing(make(Position(0))));
    run(released_batches_are_gone_and_their_names_known(make(Position(0))));
}

async fn positions_have_no_gaps(order: impl Order) {
    for number in 0..100 {
        assert_eq!(order.append(batch(number, 1)).await, Ok(Position(number)));
    }
}

async fn positions_go_on_after_a_restart(order: impl Order) {
    assert_eq!(order.append(batch(0, 1)).await, Ok(Position(41)));
    assert_eq!(numbers(&mut order.tail(Position(41)), 1).await, [0]);
}

async fn same_name_gets_the_same_position(order: impl Order) {
    for number in 0..10 {
        order.append(batch(number, 1)).await.unwrap();
    }
    for number in (0..10).rev() {
        assert_eq!(order.append(batch(number, 1)).await, Ok(Position(7 + number)));
    }
    assert_eq!(order.append(batch(10, 1)).await, Ok(Position(17)), "nothing was added twice");
}

async fn names_of_two_hubs_are_apart(order: impl Order) {
    let names = [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)];
    for round in 0..2 {
        for (position, (hub, number)) in (0..).zip(names) {
            let found = order.append(named(hub, number, 1)).await;
            assert_eq!(found, Ok(Position(position)), "round {round}, hub {hub}, number {number}");
        }
    }
}

async fn every_tail_gives_the_same_order_from_any_position(order: impl Order) {
    for number in 0..20 {
        order.append(batch(number, 1)).await.unwrap();
    }
    for from in 0..20 {
        let expected: Vec<_> = (from..20).collect();
        let mut tail = order.tail(Position(3 + from));
        assert_eq!(numbers(&mut tail, expected.len()).await, expected);
    }
    let mut positions = order.tail(Position(3));
    for position in 3..23 {
        assert_eq!(positions.next().await.unwrap().0, Position(position));
    }
}

async fn waiting_tail_gets_what_comes(order: impl Order) {
    let mut tail = order.tail(Position(1));
    let (first, second) = tokio::join!(numbers(&mut tail, 2), async {
        for number in 0..3 {
            tokio::task::yield_now().await;
            order.append(batch(number, 1)).await.unwrap();
        }
    });
    assert_eq!((first, second), (vec![1, 2], ()));
}

/// Each batch is appended when the one before was taken: a tail that slept over one would sleep for ever.
fn waiting_tail_misses_nothing_of_another_thread(order: &impl Order) {
    const BATCHES: u64 = 3000;
    let (taken, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            run(async {
                let mut tail = order.tail(Position(0));
                for number in 0..BATCHES {
                    assert_eq!(tail.next().await.unwrap().0, Position(number));
                    taken.store(number + 1, Ordering::SeqCst);
                    if failed.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        });
        run(async {
            for number in 0..BATCHES {
                order.append(batch(number, 1)).await.unwrap();
                let mut looks: u64 = 0;
                while taken.load(Ordering::SeqCst) <= number {
                    looks += 1;
                    if looks > 20_000_000 {
                        // Wakes the other thread, so that the test ends.
                        failed.store(true, Ordering::SeqCst);
                        order.append(batch(number + 1, 1)).await.unwrap();
                        panic!("the tail sleeps over batch {number}");
                    }
                    std::thread::yield_now();
                }
            }
        });
    });
}

async fn dropped_wait_loses_nothing(order: impl Order) {
    let mut tail = order.tail(Position(0));
    tokio::select! {
        biased;
        _ = tail.next() => panic!("nothing is there yet"),
        () = std::future::ready(()) => {}
    }
    order.append(batch(0, 1)).await.unwrap();
    assert_eq!(numbers(&mut tail, 1).await, [0]);
}

async fn released_batches_are_gone_and_their_names_known(order: impl Order) {
    for number in 0..4 {
        order.append(batch(number, 1)).await.unwrap();
    }
    let mut behind = order.tail(Position(1));
    order.release(Position(2));
    order.release(Position(1));
    let gone = TailError::Released { asked: Position(1), first: Position(2) };
    assert_eq!(behind.next().await, Err(gone));
    assert_eq!(numbers(&mut order.tail(Position(2)), 2).await, [2, 3]);
    assert_eq!(order.append(batch(0, 1)).await, Ok(Position(0)));
    assert_eq!(order.append(batch(4, 1)).await, Ok(Position(4)));
}

/// Runs a test's future to its end.
pub(super) fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

/// Makes a batch of hub 1 with that number and so many bytes.
pub(super) fn batch(number: u64, bytes: usize) -> Arc<Batch> {
    named(1, number, bytes)
}

/// Makes a batch of a hub.
pub(super) fn named(hub: u32, number: u64, bytes: usize) -> Arc<Batch> {
    let proposal = Proposal {
        kind: EntryKind::Summary,
        identity: String::new(),
        statement: Bytes::from(vec![0; bytes]),
        payload: None,
    };
    let name = BatchName { hub, run: 1, number };
    Arc::new(Batch { name, time: UnixMicros(number), seed: [0; 32], proposals: vec![proposal] })
}

/// Takes so many batches from a tail and gives their numbers.
pub(super) async fn numbers(tail: &mut impl Tail, count: usize) -> Vec<u64> {
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(tail.next().await.unwrap().1.name.number);
    }
    found
}
