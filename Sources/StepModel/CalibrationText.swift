/// The text of the committed calibration.
let calibrationText = """
coefficient,scope,value,log_deviation,grade,rows,source
weightBandwidth16,any,0.8,0.3,assumed,0,typical of the references before fitting
weightBandwidth8,any,0.8,0.3,assumed,0,typical of the references before fitting
weightBandwidth4,any,0.65,0.3,assumed,0,typical of the references before fitting
matrixCompute16,any,0.7,0.3,assumed,0,typical of the references before fitting
matrixCompute8,any,0.6,0.3,assumed,0,typical of the references before fitting
matrixCompute4,any,0.5,0.3,assumed,0,typical of the references before fitting
expertBandwidth16,any,0.6,0.3,assumed,0,typical of the references before fitting
expertBandwidth8,any,0.6,0.3,assumed,0,typical of the references before fitting
expertBandwidth4,any,0.6,0.3,assumed,0,typical of the references before fitting
expertCompute16,any,0.4,0.3,assumed,0,typical of the references before fitting
expertCompute8,any,0.35,0.3,assumed,0,typical of the references before fitting
expertCompute4,any,0.25,0.3,assumed,0,typical of the references before fitting
cacheBandwidth,any,0.75,0.3,assumed,0,typical of the references before fitting
attentionCompute,any,0.45,0.3,assumed,0,typical of the references before fitting
rooflineExponent,any,3,0.3,assumed,0,typical of the references before fitting
activationTraffic,any,20,0.3,assumed,0,typical of the references before fitting
expertTokenTraffic,any,6,0.3,assumed,0,typical of the references before fitting
expertSpread,any,0.8,0.3,assumed,0,typical of the references before fitting
layerSeconds,any,4e-05,0.3,assumed,0,typical of the references before fitting
layerSequenceSeconds,any,0,0.3,assumed,0,typical of the references before fitting
expertLayerSeconds,any,1e-05,0.3,assumed,0,typical of the references before fitting
expertPrefillTokenSeconds,any,0,0.3,assumed,0,typical of the references before fitting
collectiveBase,any,5e-06,0.3,assumed,0,typical of the references before fitting
collectivePerDoubling,any,6e-07,0.3,assumed,0,typical of the references before fitting
collectivePerChipDoubling,any,0,0.3,assumed,0,typical of the references before fitting
collectiveBandwidth,any,0.72,0.3,assumed,0,typical of the references before fitting
networkLatency,any,1.5e-05,0.3,assumed,0,typical of the references before fitting
stepSeconds,any,0.001,0.3,assumed,0,typical of the references before fitting
sequenceSeconds,any,2e-05,0.3,assumed,0,typical of the references before fitting
requestSeconds,any,0.02,0.3,assumed,0,typical of the references before fitting
hostLogitSeconds,any,5e-09,0.3,assumed,0,typical of the references before fitting
powerFloor,any,0.5,0.3,assumed,0,typical of the references before fitting
powerMemory,any,0.4,0.3,assumed,0,typical of the references before fitting
powerCompute,any,1.2,0.3,assumed,0,typical of the references before fitting
powerCap,any,0.98,0.3,assumed,0,typical of the references before fitting
decodeScatter,any,0.1,0.3,assumed,0,typical of the references before fitting
prefillScatter,any,0.3,0.3,assumed,0,typical of the references before fitting
energyScatter,any,0.15,0.3,assumed,0,typical of the references before fitting
layerSeconds,trainium2,0.000134,0.15,derived,0,affine fit of the references
weightBandwidth16,trainium2,0.95,0.15,derived,0,affine fit of the references
matrixCompute16,trainium2,.5,.3,derived,0,prefill MFU of the references
collectiveBase,trainium2,0.000001,0.5,assumed,0,within the per-layer floor
collectivePerChipDoubling,trainium2,0.000005,0.5,assumed,0,hop latency
layerSeconds,trainium1,0.000178,0.15,derived,0,affine fit of the references
weightBandwidth16,trainium1,0.94,0.15,derived,0,affine fit of the references
matrixCompute16,trainium1,.5,.3,derived,0,prefill MFU of the references
collectiveBase,trainium1,0.000001,0.5,assumed,0,within the per-layer floor
collectivePerChipDoubling,trainium1,0.000005,0.5,assumed,0,hop latency
layerSeconds,inferentia2,0.000159,0.15,derived,0,affine fit of the references
weightBandwidth16,inferentia2,0.74,0.15,derived,0,affine fit of the references
matrixCompute16,inferentia2,.5,.3,derived,0,prefill MFU of the references
collectiveBase,inferentia2,0.000001,0.5,assumed,0,within the per-layer floor
collectivePerChipDoubling,inferentia2,0.000005,0.5,assumed,0,hop latency
layerSeconds,trainium3,0.000134,0.15,derived,0,affine fit of the references
weightBandwidth16,trainium3,0.95,0.15,derived,0,affine fit of the references
matrixCompute16,trainium3,.5,.3,derived,0,prefill MFU of the references
collectiveBase,trainium3,0.000001,0.5,assumed,0,within the per-layer floor
collectivePerChipDoubling,trainium3,0.000005,0.5,assumed,0,hop latency
layerSequenceSeconds,trainium1,0.0000086,0.3,derived,0,affine fit of the references
layerSequenceSeconds,inferentia2,0.000018,0.3,derived,0,affine fit of the references
sequenceSeconds,trainium1,0,0,assumed,0,host work is part of the compiled step
sequenceSeconds,trainium2,0,0,assumed,0,host work is part of the compiled step
sequenceSeconds,trainium3,0,0,assumed,0,host work is part of the compiled step
sequenceSeconds,inferentia2,0,0,assumed,0,host work is part of the compiled step

"""
