//===----------------------------------------------------------------------===//
// What device exporters would show: DCGM's names for GPUs, neuron-monitor's for Trainium.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Fleet
import Ledger
import NIOCore
import StepModel

/// Pages for tools that read accelerators' exporters. The model knows pools, not single devices: each device of a pool
/// shows an
/// equal share of what its pool drew and did.
extension MetricsView {
    /// Devices shown on a page; a larger fleet shows its first ones.
    static let deviceLimit = 1024

    private enum Kind { case gpu, neuron }

    /// One accelerator.
    private struct Device {
        var yard: LiveYard
        var pool: Int
        var instance: Int
        /// Within its instance.
        var number: Int

        var host: String { "\(yard.plan.pools[pool].name)-\(instance)" }
    }

    private static func kind(_ pool: PoolPlan) -> Kind {
        let stack = pool.compiled.deployment.stack.rawValue
        return stack == "vllm-neuron" || stack == "nxdi" ? .neuron : .gpu
    }

    private func devices(_ kind: Kind) -> [Device] {
        var devices: [Device] = []
        for yard in yards {
            for (index, pool) in yard.plan.pools.enumerated() where Self.kind(pool) == kind {
                for instance in 0..<pool.instances {
                    for number in 0..<pool.instance.acceleratorCount.value {
                        if devices.count == Self.deviceLimit { return devices }
                        devices.append(Device(yard: yard, pool: index, instance: instance, number: number))
                    }
                }
            }
        }
        return devices
    }

    /// DCGM exporter's names: power (W), energy since the start (mJ), utilisation (%). All sides' GPUs.
    func dcgm(_ format: ExpositionFormat, wattsPerChip: [Double]) -> ByteBuffer {
        var page = Exposition(format: format)
        let devices = devices(.gpu)
        func labels(_ device: Device) -> Labels {
            [
                ("gpu", String(device.number)), ("UUID", "GPU-\(device.host)-\(device.number)"),
                ("device", "nvidia\(device.number)"),
                ("modelName", device.yard.plan.pools[device.pool].instance.accelerator), ("Hostname", device.host),
            ]
        }
        page.family("DCGM_FI_DEV_POWER_USAGE", .gauge, help: "Power draw (in W).")
        for device in devices {
            page.sample(labels(device), wattsPerChip[device.yard.side.rawValue])
        }
        page.family(
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", .counter, help: "Total energy consumption since boot (in mJ).")
        let settlements = yards.map { $0.settlement() }
        for device in devices {
            let energy = settlements[device.yard.side.rawValue].energies[device.pool].chipNanojoules
            page.sample(
                labels(device), Double(energy) * 1e-6 / Double(max(1, device.yard.plan.pools[device.pool].chips)))
        }
        page.family("DCGM_FI_DEV_GPU_UTIL", .gauge, help: "GPU utilization (in %).")
        for device in devices { page.sample(labels(device), (100 * busyShare(device)).rounded()) }
        return page.finish()
    }

    /// neuron-monitor-prometheus' names. It shows no power, and neither does this page.
    func neuronMonitor(_ format: ExpositionFormat) -> ByteBuffer {
        var page = Exposition(format: format)
        let devices = devices(.neuron)
        func labels(_ device: Device) -> Labels {
            [
                ("instance_name", device.host), ("instance_id", device.host),
                ("instance_type", device.yard.plan.pools[device.pool].instance.id),
            ]
        }
        page.family("neuroncore_utilization_ratio", .gauge, help: "NeuronCore utilization ratio.")
        for device in devices {
            page.sample(labels(device) + [("neuroncore", String(device.number))], busyShare(device))
        }
        page.family("execution_status_total", .counter, help: "Execution status total.")
        let hosts = devices.filter { $0.number == 0 }
        for device in hosts {
            let steps = device.yard.gauges[device.pool].usage.steps
            let share = steps / Int64(max(1, device.yard.plan.pools[device.pool].instances))
            page.sample(labels(device) + [("status_type", "completed")], count: UInt64(max(0, share)))
        }
        page.family("neuron_hardware_info", .gauge, help: "Neuron hardware information.")
        for device in hosts {
            let count = device.yard.plan.pools[device.pool].instance.acceleratorCount.value
            page.sample(labels(device) + [("neuron_device_count", String(count))], 1)
        }
        return page.finish()
    }

    /// Share of a pool's replicas that run something now.
    private func busyShare(_ device: Device) -> Double {
        let gauges = device.yard.gauges[device.pool]
        return gauges.replicas > 0 ? Double(gauges.busyReplicas) / Double(gauges.replicas) : 0
    }
}
