//! A folder of HTML on a port of this machine.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use axum::Router;
use tokio::{net::TcpListener, runtime::Builder};
use tower_http::services::{ServeDir, ServeFile};

/// Serves the files of a folder on 127.0.0.1 until the program is ended. `listening` is told the
/// address, once pages can be asked for.
///
/// # Errors
///
/// Says why it cannot listen there.
pub fn serve(folder: &Path, port: u16, listening: impl FnOnce(SocketAddr)) -> Result<(), String> {
    let served = || -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            listening(listener.local_addr()?);
            let missing = ServeFile::new(folder.join("404.html"));
            let files = ServeDir::new(folder).not_found_service(missing);
            axum::serve(listener, Router::new().fallback_service(files)).await
        })
    };
    served().map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} is in use: take another one by --port"),
        _ => format!("cannot serve on port {port}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        net::TcpStream,
        sync::mpsc,
        thread,
        time::Duration,
    };

    use super::*;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a limit");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn pages_are_served_and_what_is_missing_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("index.html"), "the first page").expect("written");
        fs::write(folder.path().join("404.html"), "no such page").expect("written");
        let (sender, address) = mpsc::channel();
        let pages = folder.path().to_owned();
        // it ends with the process
        thread::spawn(move || {
            serve(&pages, 0, |address| {
                sender.send(address).expect("asked for")
            })
        });
        let address = address.recv().expect("it listens");

        assert!(address.ip().is_loopback());
        let page = get(address, "/");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(
            page.contains("text/html") && page.ends_with("the first page"),
            "{page}"
        );
        let missing = get(address, "/nowhere.html");
        assert!(
            missing.starts_with("HTTP/1.1 404") && missing.ends_with("no such page"),
            "{missing}"
        );

        let error = serve(folder.path(), address.port(), |_| ()).expect_err("two of them");
        assert!(error.contains("is in use"), "{error}");
    }
}
