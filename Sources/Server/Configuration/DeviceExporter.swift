//===----------------------------------------------------------------------===//
// Ports of device exporters, as the configuration names them.
//===----------------------------------------------------------------------===//

import Fleet

/// A port that shows the modelled devices as one of the makers' exporters does.
struct DeviceExporter: Sendable, Equatable {
    enum Kind: String, CaseIterable, Sendable {
        /// dcgm-exporter's names, for GPUs.
        case dcgm
        /// neuron-monitor-prometheus' names, for Trainium.
        case neuronMonitor = "neuron_monitor"
    }

    var kind: Kind
    var address: ListenAddress

    static func list(_ value: YAMLValue) throws -> [DeviceExporter] {
        let map = try value.mapping(keys: Kind.allCases.map(\.rawValue))
        return try Kind.allCases.compactMap { kind in
            try map[kind.rawValue].map { DeviceExporter(kind: kind, address: try ListenAddress($0)) }
        }
    }
}
