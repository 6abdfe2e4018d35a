import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/**
 * Hands on what comes to an address to the same port of another: Link PORT FROM TO. Stopped (SIGSTOP)
 * it stalls what goes over it, killed it cuts it.
 */
class Link {
    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(args[0]);
        try (var server = new ServerSocket()) {
            server.setReuseAddress(true);
            server.bind(new InetSocketAddress(args[1], port));
            while (true) {
                Socket client = server.accept();
                begin(() -> carry(client, args[2], port));
            }
        }
    }

    private static void carry(Socket client, String to, int port) {
        try (client; var server = new Socket(to, port)) {
            client.setTcpNoDelay(true);
            server.setTcpNoDelay(true);
            var back = begin(() -> copy(server, client));
            copy(client, server);
            back.join();
        } catch (IOException | InterruptedException ended) {
            // Whoever connected sees it end.
        }
    }

    /** Until one side ends; then both do. */
    private static void copy(Socket from, Socket to) {
        try (from; to) {
            from.getInputStream().transferTo(to.getOutputStream());
        } catch (IOException ended) {
            // As wanted.
        }
    }

    private static Thread begin(Runnable work) {
        var thread = new Thread(work);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }
}
