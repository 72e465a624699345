//! The machine and its parts, over all memory that the core brings.

use core::hash::Hash;

use mqtt_core::*;

use any::{call, compared, derived, opaque, ordered};

pub(crate) fn call_all() {
    machine::<ArrayStorage<8, 8, 1024>, ArrayAliases<4, 4, 64>, ArraySubscriptions<4, 64>>();
    machine::<ArrayStorage<8, 8, 1024>, NoAliases, NoSubscriptions>();
    machine::<ArrayStorage<0, 0, 0>, ArrayAliases<0, 0, 0>, ArraySubscriptions<0, 0>>();
    call(Machine::<ArrayStorage<8, 8, 1024>>::new);
    call(session_size::<8, 8, 1024>);
    call(connection_size::<4, 4, 64>);

    call(ArrayStorage::<8, 8, 1024>::new);
    call(ArrayStorage::<8, 8, 1024>::default);
    storage::<ArrayStorage<8, 8, 1024>>();
    call(ArrayTable::<Exchange, 8>::new);
    call(ArrayTable::<Exchange, 8>::default);
    table::<Exchange, ArrayTable<Exchange, 8>>();
    table::<Arrival, ArrayTable<Arrival, 8>>();
    call(ArrayAliases::<4, 4, 64>::new);
    call(ArrayAliases::<4, 4, 64>::default);
    aliases::<ArrayAliases<4, 4, 64>>();
    aliases::<NoAliases>();
    call(ArraySubscriptions::<4, 64>::new);
    call(ArraySubscriptions::<4, 64>::default);
    subscription_list::<ArraySubscriptions<4, 64>>();
    subscription_list::<NoSubscriptions>();
    values();
}

fn machine<S, A, L>()
where
    S: Storage + Clone + Eq + Hash + 'static,
    A: Aliases + Clone + Eq + Hash + 'static,
    L: SubscriptionList + Clone + Eq + Hash + 'static,
{
    derived::<Machine<S, A, L>>();
    call(Machine::<S, A, L>::with);
    call(Machine::<S, A, L>::connect);
    call(Machine::<S, A, L>::receive);
    call(Machine::<S, A, L>::bytes_received);
    call(Machine::<S, A, L>::has_room_for);
    call(Machine::<S, A, L>::set_reading);
    call(Machine::<S, A, L>::source_waits);
    call(Machine::<S, A, L>::poll_transmit);
    call(Machine::<S, A, L>::transmitted);
    call(Machine::<S, A, L>::poll_timeout);
    call(Machine::<S, A, L>::handle_timeout);
    call(Machine::<S, A, L>::poll_outcome);
    call(Machine::<S, A, L>::poll_record);
    call(Machine::<S, A, L>::records_durable);
    call(Machine::<S, A, L>::record_failed);
    call(Machine::<S, A, L>::restore);
    call(Machine::<S, A, L>::publish_at_most_once);
    call(|machine: &mut Machine<S, A, L>, now: Instant, request: &PublishRequest<'_>| {
        Machine::<S, A, L>::publish(machine, now, request, opaque())
    });
    call(Machine::<S, A, L>::subscribe);
    call(Machine::<S, A, L>::unsubscribe);
    call(Machine::<S, A, L>::acknowledge);
    call(Machine::<S, A, L>::confirm);
    call(Machine::<S, A, L>::ping);
    call(Machine::<S, A, L>::authenticate);
    call(Machine::<S, A, L>::reauthenticate);
    call(Machine::<S, A, L>::disconnect);
    call(Machine::<S, A, L>::source_failed);
    call(Machine::<S, A, L>::pass_over_rest);
    call(Machine::<S, A, L>::forget_source);
    call(Machine::<S, A, L>::transport_lost);
    call(Machine::<S, A, L>::cancel);
    call(Machine::<S, A, L>::expire);
    call(Machine::<S, A, L>::give_up);
    call(Machine::<S, A, L>::give_up_next);
    call(Suspicion::poll_transmit::<S, A, L>);
    call(Suspicion::connection_died::<S, A, L>);
    call(Machine::<S, A, L>::is_connected);
    call(Machine::<S, A, L>::is_closed);
    call(Machine::<S, A, L>::refused_renewals);
    call(Machine::<S, A, L>::remove_subscription);
    call(Machine::<S, A, L>::limits);

    derived::<Session<S>>();
    call(Session::<S>::new);
    call(Session::<S>::set_durable);
    call(Session::<S>::is_durable);
    call(Session::<S>::has_pending_record);
    call(Session::<S>::expect_session_present);
    call(Session::<S>::storage);
    call(Session::<S>::storage_mut);
    call(Session::<S>::outgoing_len);
    call(Session::<S>::incoming_len);
    call(Session::<S>::is_idle);
    call(Session::<S>::poll_outcome);
    call(Session::<S>::confirm);
    call(Session::<S>::cancel);
    call(Session::<S>::forget_source);
    call(Session::<S>::expire);
    call(Session::<S>::end);
    call(Session::<S>::next_unsent);
    call(Session::<S>::publish_qos);
    call(Session::<S>::unsent_topic);
    call(Session::<S>::awaits);
    call(Session::<S>::is_recorded);
    call(Session::<S>::poll_record);
    call(Session::<S>::records_durable);
    call(Session::<S>::restore);

    derived::<Connection<A>>();
    call(Connection::<A>::new);
    call(Connection::<A>::reset);
    call(Connection::<A>::version);
    call(Connection::<A>::limits);
    call(Connection::<A>::is_connected);
    call(Connection::<A>::is_closed);
    call(Connection::<A>::failure);
    call(Connection::<A>::has_room_for::<S>);
    call(Connection::<A>::awaits_pingresp);
    call(Connection::<A>::ignored);
    call(Connection::<A>::refused_renewals);
    call(Connection::<A>::bytes_received);
    call(Connection::<A>::set_reading);
    call(Connection::<A>::source_waits);
    call(Connection::<A>::transmitted);
    call(Connection::<A>::poll_timeout);
    call(Connection::<A>::handle_timeout);
    call(Connection::<A>::fail_framing);
    call(Connection::<A>::transport_lost);
    call(Connection::<A>::source_failed::<S>);
    call(Connection::<A>::pass_over_rest);
    call(Connection::<A>::connect::<S>);
    call(Connection::<A>::authenticate);
    call(Connection::<A>::reauthenticate);
    call(Connection::<A>::publish_at_most_once);
    call(|connection: &Connection<A>, session: &mut Session<S>, now: Instant, request: &PublishRequest<'_>| {
        Connection::<A>::publish(connection, session, now, request, opaque())
    });
    call(Connection::<A>::unsubscribe::<S>);
    call(Connection::<A>::acknowledge::<S>);
    call(Connection::<A>::ping);
    call(Connection::<A>::disconnect::<S>);
    call(Connection::<A>::record_failed::<S>);
    // `subscribe`, `poll_transmit` and `receive` of a connection are those of the machine.
    call(|connection: &Connection<A>, session: &mut Session<S>, list: &L, request: &SubscribeRequest<'_>| {
        Connection::<A>::subscribe(connection, session, list, request)
    });
    call(|connection: &mut Connection<A>, session: &mut Session<S>, list: &mut L, now: Instant, out: &mut [u8]| {
        Connection::<A>::poll_transmit(connection, session, list, now, out)
    });
    call(
        |connection: &'static mut Connection<A>,
         session: &mut Session<S>,
         list: &mut L,
         now: Instant,
         input: Input<'static>| { Connection::<A>::receive(connection, session, list, now, input) },
    );
}

fn storage<S: Storage + 'static>() {
    call(<S as Storage>::outgoing);
    call(<S as Storage>::outgoing_mut);
    call(<S as Storage>::incoming);
    call(<S as Storage>::incoming_mut);
    call(|storage: &'static mut S, packet_identifier: PacketIdentifier, head_len: usize| {
        <S as Storage>::allocate(storage, packet_identifier, head_len, opaque())
    });
    call(<S as Storage>::head);
    call(<S as Storage>::payload);
    call(<S as Storage>::release);
    call(<S as Storage>::client_identifier);
    call(<S as Storage>::set_client_identifier);
    call(|bytes: &'static [u8]| <S as Storage>::payload_from(bytes));
}

fn table<E: Clone + Eq + Hash + 'static, T: Table<E> + Clone + Eq + Hash + 'static>() {
    derived::<T>();
    derived::<E>();
    call(<T as Table<E>>::capacity);
    call(<T as Table<E>>::len);
    call(<T as Table<E>>::is_empty);
    call(<T as Table<E>>::get);
    call(<T as Table<E>>::get_mut);
    call(<T as Table<E>>::insert);
    call(<T as Table<E>>::remove);
    call(<T as Table<E>>::vacant_after);
    call(<T as Table<E>>::clear);
}

fn aliases<A: Aliases + Clone + Eq + Hash + 'static>() {
    derived::<A>();
    call(<A as Aliases>::incoming_maximum);
    call(<A as Aliases>::incoming);
    call(<A as Aliases>::set_incoming);
    call(<A as Aliases>::outgoing);
    call(<A as Aliases>::outgoing_topic);
    call(<A as Aliases>::choose_outgoing);
    call(<A as Aliases>::set_outgoing);
    call(<A as Aliases>::clear);
}

fn subscription_list<L: SubscriptionList + Clone + Eq + Hash + 'static>() {
    derived::<L>();
    call(<L as SubscriptionList>::len);
    call(<L as SubscriptionList>::is_empty);
    call(<L as SubscriptionList>::has_room);
    call(<L as SubscriptionList>::get);
    call(<L as SubscriptionList>::renewal);
    call(<L as SubscriptionList>::set_renewal);
    call(<L as SubscriptionList>::insert);
    call(<L as SubscriptionList>::remove);
}

/// What the machine hands out.
fn values() {
    compared::<Event<'_>>();
    compared::<Connected<'_>>();
    compared::<Message<'_>>();
    call(Message::record);
    compared::<Transmit>();
    compared::<TransmitPayload>();
    derived::<ServerLimits>();
    derived::<Acknowledgement>();
    call(Acknowledgement::delivery_number);
    call(Acknowledgement::packet_identifier);
    call(Acknowledgement::of_record);
    ordered::<DeliveryNumber>();
    call(DeliveryNumber::default);
    derived::<Command>();
    compared::<Outcome>();
    compared::<CommandOutcome>();
    derived::<Renewal>();
}
