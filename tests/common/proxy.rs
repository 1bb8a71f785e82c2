//! A network between client and broker that can be as bad as networks are.
#![allow(dead_code)] // each test binary uses its own part

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How bytes are carried.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// At most so many at once ..
    pub bytes: usize,
    /// .. and each time after this.
    pub delay: Duration,
}

impl Weather {
    pub const FAIR: Self = Self { bytes: 65_536, delay: Duration::ZERO };
}

/// Listens on `port` and connects whoever comes with the broker.
pub struct Proxy {
    pub port: u16,
    weather: Arc<Mutex<Weather>>,
    /// Client and broker of each connection.
    open: Arc<Mutex<Vec<(TcpStream, TcpStream)>>>,
}

impl Proxy {
    pub fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, weather: Arc::new(Mutex::new(Weather::FAIR)), open: Arc::default() };
        let (weather, open) = (Arc::clone(&proxy.weather), Arc::clone(&proxy.open));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A broker that is away looks like a connection that is closed at once.
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
                open.lock().unwrap().push(pair);
                carry(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&weather));
                carry(server, client, Arc::clone(&weather));
            }
        });
        proxy
    }

    pub fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    /// Every connection is gone, for both sides.
    pub fn cut(&self) {
        for (client, server) in self.open.lock().unwrap().drain(..) {
            _ = client.shutdown(Shutdown::Both);
            _ = server.shutdown(Shutdown::Both);
        }
    }

    /// The client hears that the broker has finished; what it sends still arrives.
    pub fn close_to_client(&self) {
        for (client, _) in self.open.lock().unwrap().iter() {
            _ = client.shutdown(Shutdown::Write);
        }
    }

    /// The broker hears that the client has finished; what it answers still arrives.
    pub fn close_to_broker(&self) {
        for (_, server) in self.open.lock().unwrap().iter() {
            _ = server.shutdown(Shutdown::Write);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, weather: Arc<Mutex<Weather>>) {
    thread::spawn(move || {
        let mut buffer = vec![0; Weather::FAIR.bytes];
        loop {
            let Weather { bytes, delay } = *weather.lock().unwrap();
            let Ok(read @ 1..) = from.read(&mut buffer[..bytes]) else { break };
            thread::sleep(delay);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        _ = to.shutdown(Shutdown::Write);
    });
}
