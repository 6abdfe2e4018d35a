//! Which faults there are, and the order in which they come.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::fmt;

/// What a wire lies between.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Link {
    DevicesToGateways,
    GatewaysToKafka,
    GatewaysToStore,
    WorkersToKafka,
    WorkersToStore,
}

/// What happens to a wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Harm {
    Cut,
    Delayed,
    Stalled,
    Away,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    KillGateway,
    KillWorker,
    StopWorker,
    FreezeWorker,
    FreezeWorkerInsideCopy,
    KillKafkaNode,
    FreezeKafka,
    KillPostgres,
    KafkaAwayForAMinute,
    PostgresAwayForAMinute,
    FullDiskOfSpool,
    FullDiskOfPostgres,
    ImportRegisters,
    Wire(Link, Harm),
    /// Of what leads the nodes of Kafka to one another.
    Nodes(Harm),
    TopicMadeAnew,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(link, harm) => write!(f, "{link:?} {harm:?}"),
            Self::Nodes(harm) => write!(f, "BetweenNodes {harm:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

const LINKS: [Link; 5] = [
    Link::DevicesToGateways,
    Link::GatewaysToKafka,
    Link::GatewaysToStore,
    Link::WorkersToKafka,
    Link::WorkersToStore,
];
const HARMS: [Harm; 4] = [Harm::Cut, Harm::Delayed, Harm::Stalled, Harm::Away];

/// Each comes once at least; then it is drawn so often, against 1 for each harm of a wire.
const OTHERS: [(Fault, u32); 8] = [
    (Fault::KillGateway, 4),
    (Fault::KillWorker, 4),
    (Fault::StopWorker, 2),
    (Fault::FreezeWorker, 0),
    (Fault::KillKafkaNode, 1),
    (Fault::FreezeKafka, 0),
    (Fault::KillPostgres, 3),
    (Fault::FreezeWorkerInsideCopy, 0),
];

/// Once each among [`ROUND`] faults: they take longest.
const SELDOM: [Fault; 5] = [
    Fault::KafkaAwayForAMinute,
    Fault::PostgresAwayForAMinute,
    Fault::FullDiskOfSpool,
    Fault::FullDiskOfPostgres,
    Fault::ImportRegisters,
];

const ROUND: usize = 60;

/// How often what is away for a minute is, among so many faults.
pub fn rounds(count: usize) -> usize {
    (count / ROUND).max(1)
}

/// So many faults in an order of chance, each kind among them. For 0 only the registers are put
/// right: what then fails is no fault's doing.
pub fn plan(count: usize, random: &mut StdRng) -> Vec<Fault> {
    if count == 0 {
        return vec![Fault::ImportRegisters];
    }
    let wires = LINKS.iter().flat_map(|l| HARMS.map(|h| Fault::Wire(*l, h)));
    let mut weighed: Vec<(Fault, u32)> = OTHERS.to_vec();
    weighed.extend(wires.chain(HARMS.map(Fault::Nodes)).map(|wire| (wire, 1)));
    let mut plan: Vec<Fault> = weighed.iter().map(|(fault, _)| *fault).collect();
    let seldom = SELDOM.repeat(rounds(count));
    while plan.len() + seldom.len() < count {
        let drawn = weighed.choose_weighted(random, |(_, weight)| *weight);
        plan.push(drawn.unwrap().0);
    }
    plan.extend(seldom);
    plan.shuffle(random);
    plan
}
