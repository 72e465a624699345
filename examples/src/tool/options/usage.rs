//! `--help`.

use super::Tool;

/// The options of a tool, a line each.
pub(super) fn usage(tool: Tool) -> String {
    let name = tool.name();
    let (what, own) = match tool {
        Tool::Pub => ("publishes messages", &[PUBLISHING, PUB][..]),
        Tool::Sub => ("prints what is published", &[RECEIVING, SUB][..]),
        Tool::Rr => ("publishes a request and prints the answer", &[PUBLISHING, RECEIVING, RR][..]),
    };
    let line = match tool {
        Tool::Pub => "-t TOPIC {-m TEXT | -f FILE | -l | -s | -n} [options]",
        Tool::Sub => "{-t FILTER | -U FILTER}... [options]",
        Tool::Rr => "-t TOPIC -e TOPIC {-m TEXT | -f FILE | -s | -n} [options]",
    };
    let mut text = format!("{name} {what}; its options are those of {} 2.1.\n\n{name} {line}\n", tool.namesake());
    for part in own.iter().chain(&[COMMON]) {
        text.push_str(part);
    }
    text
}

const PUBLISHING: &str = "
 -m, --message TEXT     the message
 -f, --file FILE        a file as the message, up to 256 MB; it is not held in memory
 -s, --stdin-file       standard input as one message
 -n, --null-message     a message of no bytes
";

const PUB: &str = " -l, --stdin-line       each line of standard input as a message
 -r, --retain           the broker keeps the message for later subscribers
 --repeat N             publishes it so often
 --repeat-delay SECONDS with so much time in between
";

const RECEIVING: &str = "
 -v, --verbose          prints the topic before the payload
 -F FORMAT              prints as FORMAT says, see mosquitto_sub(1)
 --json                 prints an object of JSON a line, with all properties; binary payloads in base64
 --pretty               with %j and %J: over several lines
 -N                     no end of line behind each message
 -R                     does not print retained messages
 -W SECONDS             ends after so long, with status 27
 --retain-handling always|new|never
                        which retained messages are wanted
";

const SUB: &str = " -C N                   ends after so many messages
 -E                     ends when the broker has answered
 -T, --filter-out FILTER
                        does not print what matches
 -U, --unsubscribe FILTER
                        ends a subscription of a session that was kept
 --retained-only        prints retained messages, and ends with the first other one
 --remove-retained      removes the retained messages that come from the broker
 --retain-as-published  keeps the flag as it was published (5.0)
 --random-filter CHANCE prints so many of a hundred messages
 --message-rate         prints how many messages a second come
 -w, --watch            prints each topic on a line of its own of the terminal
";

const RR: &str = " -e TOPIC               where the answer is wanted
 --latency              prints how long the answer took
";

const COMMON: &str = "
 -h, --host HOST        the broker; default: localhost
 -p, --port PORT        default: 1883, 8883 with TLS
 -L, --url URL          mqtt[s]://[user[:password]@]host[:port]/topic, or ws[s]://
 --unix PATH            a Unix socket in place of host and port
 --ws                   WebSocket, at the path /mqtt
 -A ADDRESS             the address of this machine to come from
 --proxy socks5h://[user[:password]@]host[:port]
 --nodelay              small packets leave at once, which is always so
 -V, --protocol-version 5|311|31
 -u, --username NAME    -P, --pw PASSWORD
 -i, --id ID            the Client Identifier
 -I, --id-prefix TEXT   a Client Identifier that ends with the number of the process
 -k, --keepalive SECONDS
 -c, --disable-clean-session
                        keeps the session
 -x SECONDS             for how long the session is kept (5.0); -1: for ever
 -q, --qos 0|1|2        default: 0
 -M N                   how many messages at QoS 1 and 2 are under way at once
 -D, --property COMMAND NAME [NAME] VALUE
                        a property of CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, WILL (5.0)
 --will-topic TOPIC     --will-payload TEXT, --will-qos 0|1|2, --will-retain
 --cafile FILE          certificates of authorities; --capath DIRECTORY
 --tls-use-os-certs     those that the system trusts
 --cert FILE            --key FILE, --keyform pem
 --insecure             takes a certificate for another name
 --tls-version tlsv1.2|tlsv1.3
 --tls-alpn PROTOCOL
 --psk HEX              --psk-identity NAME
 --no-tls               no TLS whatever other options say
 -o FILE                options, a line each; else those of $XDG_CONFIG_HOME
 -d, --debug            tells on stderr what happens
 --quiet                tells nothing of what goes wrong
 --help                 --version
";
