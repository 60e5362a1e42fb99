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
/// shows an equal share of what its pool drew and did.
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
    ///
    /// Memory, clocks, temperatures and link traffic are not modelled by device, and not shown.
    func dcgm(_ format: ExpositionFormat) -> ByteBuffer {
        var page = Exposition(format: format)
        let devices = devices(.gpu)
        let settlements = yards.map { $0.settlement() }
        let watts = wattsPerChip
        func energy(_ device: Device) -> Double {
            let chips = Double(max(1, device.yard.plan.pools[device.pool].chips))
            return Double(settlements[device.yard.side.rawValue].energies[device.pool].chipNanojoules) * 1e-6 / chips
        }
        let families: [(String, MetricType, String, (Device) -> Double)] = [
            (
                "DCGM_FI_DEV_POWER_USAGE", .gauge, "Power draw (in W).",
                { watts[$0.yard.side.rawValue] }
            ),
            (
                "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", .counter, "Total energy consumption since boot (in mJ).", energy
            ),
            ("DCGM_FI_DEV_GPU_UTIL", .gauge, "GPU utilization (in %).", { (100 * busyShare($0)).rounded() }),
            ("DCGM_FI_DEV_XID_ERRORS", .gauge, "Value of the last XID error encountered.", { _ in 0 }),
            (
                "DCGM_FI_PROF_GR_ENGINE_ACTIVE", .gauge, "Ratio of time the graphics engine is active.",
                { busyShare($0) }
            ),
        ]
        for (name, type, help, value) in families {
            page.family(name, type, help: help)
            for device in devices { page.sample(gpuLabels(device), value(device)) }
        }
        return page.finish()
    }

    private func gpuLabels(_ device: Device) -> Labels {
        [
            ("gpu", String(device.number)), ("UUID", "GPU-\(device.host)-\(device.number)"),
            ("pci_bus_id", "00000000:\(String(device.number + 16, radix: 16)):00.0"),
            ("device", "nvidia\(device.number)"),
            ("modelName", device.yard.plan.pools[device.pool].instance.accelerator), ("Hostname", device.host),
        ]
    }

    /// Mean power of one chip of each side, over the last second.
    private var wattsPerChip: [Double] {
        let point = latest?()
        return yards.indices.map { index in
            (point?.sides[index].chipWatts ?? 0) / Double(max(1, yards[index].plan.chips))
        }
    }

    /// neuron-monitor-prometheus' names. It shows no power, and neither does this page. The model has no latency of single
    /// executions and no system of a host, so those families are missing.
    func neuronMonitor(_ format: ExpositionFormat) -> ByteBuffer {
        var page = Exposition(format: format)
        let devices = devices(.neuron)
        let hosts = devices.filter { $0.number == 0 }
        page.family("neuroncore_utilization_ratio", .gauge, help: "NeuronCore utilization ratio.")
        for device in devices {
            page.sample(neuronLabels(device) + [("neuroncore", String(device.number))], busyShare(device))
        }
        page.family("neuroncore_memory_usage_constants", .gauge, help: "NeuronCore memory utilization for constants.")
        for device in devices {
            let weights = device.yard.plan.pools[device.pool].compiled.weightBytesPerChip
            page.sample(neuronLabels(device) + [("neuroncore", String(device.number))], weights)
        }
        writeExecutions(&page, hosts)
        page.family("neuron_hardware_info", .gauge, help: "Neuron hardware information.")
        for host in hosts {
            let count = host.yard.plan.pools[host.pool].instance.acceleratorCount.value
            page.sample(neuronLabels(host) + [("neuron_device_count", String(count))], 1)
        }
        page.family("instance_info", .gauge, help: "EC2 instance information.")
        for host in hosts { page.sample(neuronLabels(host), 1) }
        return page.finish()
    }

    private func writeExecutions(_ page: inout Exposition, _ hosts: [Device]) {
        page.family("execution_status_total", .counter, help: "Execution status total.")
        for host in hosts {
            let steps = host.yard.gauges[host.pool].usage.steps
            let share = steps / Int64(max(1, host.yard.plan.pools[host.pool].instances))
            for status in [
                "completed", "completed_with_err", "completed_with_num_err", "timed_out", "incorrect_input",
                "failed_to_queue",
            ] {
                page.sample(
                    neuronLabels(host) + [("status_type", status)],
                    count: status == "completed" ? UInt64(max(0, share)) : 0)
            }
        }
        page.family("execution_errors_total", .counter, help: "Execution errors total.")
        for host in hosts {
            for error in ["generic", "numerical", "transient", "model", "runtime", "hardware"] {
                page.sample(neuronLabels(host) + [("error_type", error)], count: 0)
            }
        }
        page.family("hardware_ecc_events_total", .counter, help: "Hardware ecc events total.")
        for host in hosts {
            for event in ["mem_ecc_corrected", "mem_ecc_uncorrected", "sram_ecc_uncorrected"] {
                page.sample(neuronLabels(host) + [("event_type", event), ("neuron_device_index", "0")], count: 0)
            }
        }
    }

    private func neuronLabels(_ device: Device) -> Labels {
        let plan = device.yard.plan
        return [
            ("instance_name", device.host), ("instance_id", device.host),
            ("instance_type", plan.pools[device.pool].instance.id),
        ]
    }

    /// Share of a pool's replicas that run something now.
    private func busyShare(_ device: Device) -> Double {
        let gauges = device.yard.gauges[device.pool]
        return gauges.replicas > 0 ? Double(gauges.busyReplicas) / Double(gauges.replicas) : 0
    }
}
