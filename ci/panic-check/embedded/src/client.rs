//! Runner, handles, and what they give.

use core::hint::black_box;

use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex, RawMutex};
use mqtt_embedded::*;

use crate::world::{Dial, Dice, Drawer, Network, Time, Wire, run};
use any::{call, opaque};

type Memory = Sizes<4, 512, 4, 512, 128, 4, 32>;
type Handle<M> = Client<'static, M, Time, Memory>;
type Mqtt<M> = Resources<M, Time, Memory>;

pub(crate) fn call_all() {
    with_mutex::<NoopRawMutex>();
    with_mutex::<CriticalSectionRawMutex>();
    call(|stack: &'static Network, port: u16| {
        run(async move { TcpConnector::new(stack, stack, opaque(), port).connect().await })
    });
    call(|| black_box(Shared::new(Wire)));
    call(|| size::<NoopRawMutex, Time, Memory>());
}

fn with_mutex<M: RawMutex + 'static>() {
    call(Mqtt::<M>::new);
    call(Mqtt::<M>::durable);
    call(Mqtt::<M>::clock);
    call(Mqtt::<M>::client);
    runner::<M>();
    handle::<M>();
    publish::<M>();
    subscriber::<M>();
    requests::<M>();
}

fn runner<M: RawMutex + 'static>() {
    call(|mqtt: &'static Mqtt<M>, options: &'static Options<'static>| {
        run(Runner::new(mqtt, opaque(), opaque()).run(&mut Dial, options, &mut Dice));
    });
    call(|mqtt: &'static Mqtt<M>, options: &'static Options<'static>| {
        run(Runner::new(mqtt, opaque(), opaque()).run_durable(&mut Dial, options, &mut Dice, &mut Drawer, opaque()));
    });
    call(|mqtt: &'static Mqtt<M>, options: &'static Options<'static>| {
        run(Runner::new(mqtt, opaque(), opaque()).run_durable(&mut Dial, options, &mut Dice, &mut NoStore, opaque()));
    });
    call(|mqtt: &'static Mqtt<M>, options: &'static Options<'static>| {
        let mut store = Paced::new(Drawer, Time, opaque(), opaque());
        run(Runner::new(mqtt, opaque(), opaque()).run_durable(&mut Dial, options, &mut Dice, &mut store, opaque()));
    });
}

fn handle<M: RawMutex + 'static>() {
    call(|client: Handle<M>| client.status());
    call(|client: Handle<M>| client.statistics());
    call(|client: Handle<M>| client.clone());
    call(|client: Handle<M>| run(async move { client.wait_for(|_| opaque()).await }));
    call(|client: Handle<M>, milliseconds: u32| run(async move { client.shutdown(milliseconds).await }));
}

fn publish<M: RawMutex + 'static>() {
    call(|client: Handle<M>| {
        let publish = client.publish(opaque(), opaque())?;
        publish.try_send().map(|receipt| run(receipt))
    });
    call(|client: Handle<M>| Ok::<_, Error>(run(all_of(client.publish(opaque(), opaque())?).send())));
    call(|client: Handle<M>| Ok::<_, Error>(run(all_of(client.publish(opaque(), opaque())?).deliver())));
    call(|client: Handle<M>| {
        let source: &'static [u8] = opaque();
        let publish = client.publish_from(opaque(), source)?;
        Ok::<_, Error>(run(async move { publish.qos(opaque()).deliver(opaque()).await }))
    });
    call(|client: Handle<M>, length: u32| {
        let publish = client.publish_from(opaque(), PayloadFile::new(Wire, length))?;
        Ok::<_, Error>(run(async move { publish.qos(opaque()).deliver(opaque()).await }))
    });
    call(|client: Handle<M>, length: u32| {
        let publish = client.publish_from(opaque(), Source::once(Wire, length))?;
        Ok::<_, Error>(run(async move { publish.qos(opaque()).deliver(opaque()).await }))
    });
}

fn all_of<M: RawMutex>(
    publish: Publish<'static, 'static, M, Time, Memory>,
) -> Publish<'static, 'static, M, Time, Memory> {
    publish.qos(opaque()).retain().message_expiry_interval(opaque()).topic_alias().properties(opaque())
}

fn subscriber<M: RawMutex + 'static>() {
    call(|client: Handle<M>| client.subscribe(opaque(), opaque()).map(drop));
    call(|client: Handle<M>| client.subscribe_with(opaque(), opaque()).map(drop));
    call(|client: Handle<M>| {
        let mut subscriber = client.subscribe(opaque(), opaque())?.by_hand();
        run(subscriber.granted());
        let buffer: &'static mut [u8] = opaque();
        run(async {
            while let Some(message) = subscriber.next(buffer).await {
                if let Ok(message) = message {
                    message_of(&message);
                    black_box(subscriber.acknowledge(&message).is_ok());
                    black_box(subscriber.reject(&message, opaque()).is_ok());
                }
                let mut part = [0; 64];
                black_box(subscriber.read(&mut part).await.is_ok());
            }
        });
        Ok::<_, Error>(())
    });
}

fn requests<M: RawMutex + 'static>() {
    call(|client: Handle<M>| {
        let requests = client.requests::<2>(opaque(), &mut Dice)?;
        run(requests.granted());
        black_box(requests.response_topic());
        let request = requests.request(opaque(), opaque())?.qos(opaque()).deadline(opaque());
        let buffer: &'static mut [u8] = opaque();
        run(async {
            if let Ok(answer) = request.answer(buffer).await {
                message_of(&answer);
            }
        });
        Ok::<_, Error>(())
    });
    call(|client: Handle<M>, message: &'static Message<'static>| {
        black_box(client.respond(message, opaque()).map(|answer| answer.topic().len()).is_ok());
    });
}

fn message_of(message: &Message<'_>) {
    black_box(message.topic());
    black_box(message.payload());
    black_box(message.payload_str().is_ok());
    black_box(message.payload_len());
    black_box(message.properties());
    black_box(message.response_topic());
    black_box(message.correlation_data());
    black_box(message.qos());
    black_box(message.retain());
    black_box(message.dup());
    black_box(message.delivery_number());
    black_box(message.redelivered());
}
