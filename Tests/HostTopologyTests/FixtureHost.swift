import Foundation

@testable import HostTopology

/// A tree of kernel files for a host that this machine is not.
final class FixtureHost {
    let root: String

    /// - Parameter links: symbolic links by path, with what they say.
    init(_ files: [String: String], links: [String: String] = [:]) throws {
        root = NSTemporaryDirectory() + "topology-\(UUID().uuidString)"
        for (path, text) in files {
            let file = URL(fileURLWithPath: "\(root)/\(path)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: false, encoding: .utf8)
        }
        for (path, target) in links {
            let link = URL(fileURLWithPath: "\(root)/\(path)")
            try FileManager.default.createDirectory(
                at: link.deletingLastPathComponent(), withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: target)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// The host as read from the tree.
    func topology(allowedCPUs: [Int]?) -> HostTopology {
        withExtendedLifetime(self) { HostTopology(root: root, allowedCPUs: allowedCPUs) }
    }

    /// Two nodes with 4 CPUs each; CPUs i and i + 4 are the hardware threads of core i, so each node has 2 cores.
    static let twoNodes: [String: String] = {
        var files = [
            "sys/devices/system/cpu/online": "0-7\n",
            "sys/devices/system/node/online": "0-1\n",
            "sys/devices/system/node/node0/cpulist": "0-1,4-5\n",
            "sys/devices/system/node/node0/distance": "10 21\n",
            "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       16384 kB\nNode 0 MemFree: 5 kB\n",
            "sys/devices/system/node/node1/cpulist": "2-3,6-7\n",
            "sys/devices/system/node/node1/distance": "21 10\n",
            "sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:       32768 kB\n",
            "proc/self/status": "Name:\tx\nMems_allowed:\t3\nMems_allowed_list:\t0-1\n",
            "sys/class/net/eth0/device/numa_node": "1\n",
            "sys/class/net/eth0/operstate": "up\n",
            "sys/class/net/eth1/device/numa_node": "-1\n",
            "sys/class/net/lo/mtu": "65536\n",
        ]
        for cpu in 0..<8 {
            files["sys/devices/system/cpu/cpu\(cpu)/topology/thread_siblings_list"] = "\(cpu % 4),\(cpu % 4 + 4)\n"
        }
        return files
    }()
}
